// Columns for people: each as wide as its widest cell, two blanks apart, none behind the last; and times and sizes
// as they are shown. Pure, but for the clock.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace nucleus::cli {

std::string TableText(const std::vector<std::vector<std::string>>& rows);

std::int64_t UnixNowMs();
// "3s", "4m", "2h", "5d": how long something lasts, roughly.
std::string RoughDuration(std::int64_t milliseconds);
// "12.3M": powers of 1024, cut off.
std::string RoughBytes(std::uint64_t bytes);
// "2026-11-24 04:15:03" in the local time zone.
std::string LocalTime(std::int64_t unix_ms);
// "2026-11-24T04:15:03.120Z"
std::string UtcTime(std::int64_t unix_ms);

}  // namespace nucleus::cli
