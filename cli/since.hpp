// A time as --since takes it. Pure, but for the local time zone.
#pragma once

#include <cstdint>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus::cli {

// Unix milliseconds of "10m" (so long before now_ms), "2026-11-24", "2026-11-24T04:15:03", with a blank for the T, to
// the millisecond, and a zone, Z or +01:00, at the end; without one it is local time.
Result<std::int64_t> ParseSince(std::string_view text, std::int64_t now_ms);

}  // namespace nucleus::cli
