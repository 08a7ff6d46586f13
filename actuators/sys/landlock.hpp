// landlock(7), "Compatibility".
#pragma once

#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace nucleus::sys {

// The ABI of the running kernel; 0: it has no Landlock, or has it switched off.
inline std::uint32_t LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<std::uint32_t>(abi);
}

}  // namespace nucleus::sys
