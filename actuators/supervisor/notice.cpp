#include "actuators/supervisor/notice.hpp"

#include <signal.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

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
  constexpr int kLooks = 10;
  constexpr std::chrono::milliseconds kPause{1};
  if (signal == SIGKILL || signal == SIGSTOP || signal == SIGCONT || signal < 1 || signal > 64) return true;
  const std::uint64_t bit = std::uint64_t{1} << (signal - 1);
  for (int look = 1;; ++look) {
    const auto status = sys::ReadFileIfThere("/proc/" + std::to_string(pid) + "/status");
    if (!status || !*status || (SignalMask(**status, "SigCgt:") & bit) != 0) return true;
    if ((SignalMask(**status, "SigBlk:") & bit) == 0) return false;
    // A shell holds everything back for a moment whenever it starts a program.
    if (look == kLooks) return true;
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace nucleus::process
