#include "actuators/sys/capabilities.hpp"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace nucleus::sys {

Result<OwnCapabilities> ReadOwnCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return FailSys("capget", "this process");
  const auto whole = [](std::uint32_t low, std::uint32_t high) { return std::uint64_t{high} << 32 | low; };
  return OwnCapabilities{whole(data[0].effective, data[1].effective), whole(data[0].permitted, data[1].permitted)};
}

std::uint64_t ReadOwnBounding() {
  std::uint64_t bounding = 0;
  for (int capability = 0; capability < 64; ++capability) {
    const int held = ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0);
    if (held < 0) break;  // there is none of that number
    if (held == 1) bounding |= std::uint64_t{1} << capability;
  }
  return bounding;
}

}  // namespace nucleus::sys
