// Sizes, durations, CPU counts: text to number and back. parse(format(x)) == x for every value.
// Errors are of kind kInvalid, without a place: the caller knows where the text stood.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus {

using Bytes = std::uint64_t;
using Duration = std::chrono::milliseconds;

// "512M", "1.5G", "1Gi", "64KiB", "4096": powers of 1024; K M G T in either case, optional i and B.
Result<Bytes> ParseBytes(std::string_view text);
// The largest unit that divides the value: "512M", "1G", "1000".
std::string FormatBytes(Bytes value);

// "30s", "5m", "1h30m", "250ms", "2d"; a bare number is seconds.
Result<Duration> ParseDuration(std::string_view text);
std::string FormatDuration(Duration value);

// CPUs in thousandths: "2", "0.5", "1.25". Zero, negative, more than three decimals and more than 8192 are refused.
Result<std::uint32_t> ParseMilliCpus(std::string_view text);
std::string FormatMilliCpus(std::uint32_t milli_cpus);

// The whole of text as a decimal number without sign or blanks.
Result<std::uint64_t> ParseUnsigned(std::string_view text);

// "SIGTERM", "TERM", "15" -> 15; and the name with SIG. Real-time signals as "RTMIN+3".
Result<int> ParseSignal(std::string_view text);
std::string SignalName(int signal);

}  // namespace nucleus
