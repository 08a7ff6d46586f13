// Ranges of ids that no two containers have at once. A range is claimed by a lock, flock(2), on a file of its name:
// held by who started the container until that process ends, and shared by who watches it. So it ends with the last of
// them, however they end; the files stay, as many as there ever were containers at once.
#pragma once

#include <string>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

// The first `count` ids of `from` that nobody has, and none of `lent`. kUnsupported: there are none left.
Result<IdSpan> ClaimRange(const IdSpan& from, std::uint32_t count, const std::string& directory,
                          const std::vector<IdSpan>& lent = {});
// Of a range that begins there, for as long as the descriptor is open; none where it was not claimed. kConflict:
// another container has it by now.
Result<Fd> ShareRange(std::uint32_t first, const std::string& directory);

}  // namespace nucleus::sys
