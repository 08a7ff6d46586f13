#include "actuators/sys/protections.hpp"

#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"

namespace nucleus::sys {

bool HasSeccompFilters() {
  constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
  return ::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &kAllow) == 0;
}

// A header, and a line for each area.
bool MachineSwaps() {
  const auto text = ReadFile("/proc/swaps");
  return !text || text->find('\n') + 1 < text->size();
}

std::optional<bool> HasUnswappedTmpfs() {
  const Fd fs(Fsopen("tmpfs"));
  if (!fs) return std::nullopt;
  return Fsconfig(fs.get(), FsconfigCommand::kSetFlag, "noswap", nullptr) == 0;
}

SwapWords WhySwapped(bool in_user_namespace) {
  if (in_user_namespace)
    return {"in a user namespace a tmpfs may be swapped out, and the machine has swap",
            "switch swap off, or have root start it"};
  return {"this kernel's tmpfs may be swapped out, and the machine has swap",
          "switch swap off, or use Linux 6.4 or newer"};
}

}  // namespace nucleus::sys
