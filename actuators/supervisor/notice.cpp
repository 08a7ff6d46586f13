#include "actuators/supervisor/notice.hpp"

#include <signal.h>

#include <charconv>
#include <string>
#include <string_view>

#include "actuators/sys/file.hpp"

namespace nucleus::process {

namespace {

std::uint64_t SignalMask(std::string_view status, std::string_view name) {
  const auto at = status.find(name);
  std::uint64_t mask = 0;
  if (at == std::string_view::npos) return 0;
  auto rest = status.substr(at + name.size());
  rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
  std::from_chars(rest.data(), rest.data() + rest.size(), mask, 16);
  return mask;
}

}  // namespace

bool WouldNotice(pid_t pid, int signal) {
  if (signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT || signal < 1 || signal > 64) return true;
  const auto status = sys::ReadFileIfThere("/proc/" + std::to_string(pid) + "/status");
  if (!status || !*status) return true;
  return ((SignalMask(**status, "SigCgt:") | SignalMask(**status, "SigBlk:")) >> (signal - 1) & 1) != 0;
}

}  // namespace nucleus::process
