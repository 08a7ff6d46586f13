// landlock(7), "Compatibility".
#pragma once

#include <linux/landlock.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nucleus::sys {

inline constexpr std::uint64_t kLandlockTruncate = 1U << 14;  // later than <linux/landlock.h> of Debian 12

// The ABI of the running kernel; 0: it has no Landlock, or has it switched off.
inline std::uint32_t LandlockAbi() {
  const long abi = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi < 0 ? 0 : static_cast<std::uint32_t>(abi);
}

// LANDLOCK_ACCESS_FS_* that mean something of a file of that type, S_IFMT; of what is no directory the kernel refuses
// the others: execute, write, read, truncate, and of devices their requests.
constexpr std::uint64_t LandlockRightsOf(mode_t type) {
  if (S_ISDIR(type)) return ~std::uint64_t{0};
  constexpr std::uint64_t kFile = 1U << 0 | 1U << 1 | 1U << 2 | 1U << 14;
  return S_ISCHR(type) || S_ISBLK(type) ? kFile | 1U << 15 : kFile;
}

// The words of Landlock policies that a mask of LANDLOCK_ACCESS_FS_* amounts to: "read", "write", "execute", ...
std::vector<std::string> LandlockWords(std::uint64_t access);
// Why a rule is an error of whose rights none is of LandlockRightsOf() what is there; where: "in the container".
std::string LandlockAllowsNothing(std::string_view where, std::uint64_t access);

}  // namespace nucleus::sys
