#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "actuators/netns/nft_library.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/own_programs.hpp"
#include "actuators/sys/pipe.hpp"

namespace nucleus::netns {

namespace {

// What it is to do is there as a whole, or the program is not started: half of it could be commands too.
Result<sys::Fd> Written(const std::string& commands) {
  sys::Fd file(::memfd_create("nft", MFD_CLOEXEC));
  if (!file) return FailSys("memfd_create", "commands of nftables");
  TRY(sys::WriteAll(file.get(), commands, "commands of nftables"));
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return FailSys("lseek", "commands of nftables");
  return file;
}

// No signal comes to it: libnftables takes an interrupted recvmsg(2) for a broken kernel. It dies with this thread.
Result<pid_t> Spawn(const std::string& program, const sys::Fd& in, const sys::Fd& out, bool json) {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&files);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&files, in.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&files, out.get(), STDOUT_FILENO);
  sigset_t all;
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &all);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  ::posix_spawn_file_actions_addclosefrom_np(&files, STDERR_FILENO + 1);
  std::array<char*, 1> nothing{nullptr};  // a variable could lead the dynamic loader, or the library, elsewhere
  std::string name = "nucleus-nft", parent = std::to_string(::getpid()), form = json ? "json" : "text";
  const std::array<char*, 4> argv{name.data(), parent.data(), form.data(), nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, program.c_str(), &files, &attributes, argv.data(), nothing.data());
  ::posix_spawn_file_actions_destroy(&files);
  ::posix_spawnattr_destroy(&attributes);
  if (failed != 0) return FailSys("start program", program, failed);
  return pid;
}

}  // namespace

Result<NftAnswer> AskNft(const std::string& commands, bool json) {
  const std::string program = TRY(sys::ProgramOfOurs("nucleus-nft"));
  const sys::Fd in = TRY(Written(commands));
  auto [reader, writer] = TRY(sys::MakePipe("answer of nftables"));
  const pid_t pid = TRY(Spawn(program, in, writer, json));
  writer.reset();
  auto text = sys::ReadAll(reader.get(), "answer of nftables");
  // What is not read to its end would be waited for for ever: who writes into a full pipe sleeps.
  if (!text) ::kill(pid, SIGKILL);
  reader.reset();
  int status = 0;
  pid_t waited = 0;
  while ((waited = ::waitpid(pid, &status, 0)) < 0 && errno == EINTR) {
  }
  if (waited != pid) return FailSys("wait for", "nucleus-nft");
  if (!text) return Fail(std::move(text).error());
  const int outcome = WIFEXITED(status) ? WEXITSTATUS(status) - kNftExit : -1;
  if (outcome < 0 || outcome > static_cast<int>(NftAnswer::Outcome::kMissing))
    return Fail(ErrorCode::kSystem, "ask", "nftables", text->empty() ? "nucleus-nft ended before it was done" : *text);
  return NftAnswer{static_cast<NftAnswer::Outcome>(outcome), std::move(*text)};
}

}  // namespace nucleus::netns
