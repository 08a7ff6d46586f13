// Whether the running kernel has what containers are kept apart with, beside Landlock (landlock.hpp). Reads only.
#pragma once

#include <optional>
#include <string_view>

namespace nucleus::sys {

// seccomp(2), SECCOMP_GET_ACTION_AVAIL: a kernel built without filters does not know the call.
bool HasSeccompFilters();

// swapon(8), and where nothing says so.
bool MachineSwaps();
// tmpfs(5), "noswap": Linux 6.4, and not in a user namespace. None: whoever asks may make no tmpfs.
std::optional<bool> HasUnswappedTmpfs();
// Why secrets may be swapped out where both are so, and what to do.
struct SwapWords {
  std::string_view why, hint;
};
SwapWords WhySwapped(bool in_user_namespace);

}  // namespace nucleus::sys
