// When a workload that is started again and again is believed in no more. Pure.
#pragma once

#include <cstdint>

namespace nucleus {

inline constexpr std::int64_t kStableAfterMs = 10'000;  // a run that lasted so long was none of a crash loop
inline constexpr std::uint32_t kCrashLoop = 3;          // restarts, the last run having been shorter

}  // namespace nucleus
