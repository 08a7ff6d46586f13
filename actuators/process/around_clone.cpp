#include "actuators/process/around_clone.hpp"

#include <errno.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string_view>

namespace nucleus::process {

Dumpable::Dumpable(bool wanted) : before_(wanted ? ::prctl(PR_GET_DUMPABLE) : -1) {
  if (wanted) ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

Dumpable::~Dumpable() {
  if (before_ == 0) ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

// The kernel has put the words, then the environment, then the name of the file one behind the other; execve(2).
WordsHidden::WordsHidden() {
  constexpr std::string_view kName = "nucleus";
  const auto begin = reinterpret_cast<std::uintptr_t>(program_invocation_name);
  std::uintptr_t end = ::getauxval(AT_EXECFN);
  for (char** variable = environ; variable != nullptr && *variable != nullptr; ++variable) {
    const auto at = reinterpret_cast<std::uintptr_t>(*variable);  // of one that was set by ourselves: elsewhere
    if (at > begin && at < end) end = at;
  }
  if (end <= begin + kName.size()) return;
  words_ = program_invocation_name;
  before_.assign(words_, end - begin);
  std::memset(words_, 0, before_.size());
  kName.copy(words_, kName.size());
}

WordsHidden::~WordsHidden() {
  before_.copy(words_, before_.size());
}

SignalsHeld::SignalsHeld() {
  constexpr std::uint64_t kAll = ~0ULL;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &kAll, &before_, sizeof before_);
}

SignalsHeld::~SignalsHeld() {
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &before_, nullptr, sizeof before_);
}

}  // namespace nucleus::process
