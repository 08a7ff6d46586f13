// Ranges of ids that no two containers have at once. A range is claimed by a lock, flock(2), on a file of its name:
// held by who started the container until that process ends, and shared by who watches it. So it ends with the last of
// them, however they end; the files stay, as many as there ever were containers at once.
#pragma once

#include <string>

#include "actuators/sys/id_ranges.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

// The first `count` ids of `from` that nobody has. kUnsupported: there are none left.
Result<IdSpan> ClaimRange(const IdSpan& from, std::uint32_t count, const std::string& directory);
// Of a range that begins there. Nothing to do where none was claimed. kConflict: another container has it by now.
Result<> ShareRange(std::uint32_t first, const std::string& directory);

}  // namespace nucleus::sys
