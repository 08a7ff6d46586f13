// Facts of a volume: `type` is "directory" or "tmpfs", `mode` four octal digits, `uid`, `gid`, `size` in bytes.
// Only what was asked for is a fact: a database server that tightens the mode of its own data directory is not drift.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "state/parts/parts.hpp"

namespace nucleus {

inline constexpr std::uint32_t kDefaultVolumeMode = 0755;
inline constexpr std::string_view kNoDirectory = "no directory";  // type of what is there in its place

std::string FormatMode(std::uint32_t mode);
// A persistent volume gets the default mode when it is made, and keeps whatever its owner makes of it.
bool IsModeAsked(const DirectoryWanted& wanted);

}  // namespace nucleus
