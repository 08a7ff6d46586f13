// The log of a workload as people see it. What a supervisor writes is documented in actuators/process/log.hpp:
// "<unix milliseconds> <o|e> <text>", an entry a line. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace nucleus::cli {

class LogText {
 public:
  struct Style {
    bool timestamps = false;
    // For a terminal: control characters as \xNN but tabs and colours, so that a workload cannot drive it.
    bool clean = false;
    std::int64_t since_ms = 0;  // nothing older; Unix time
  };
  explicit LogText(Style style) : style_(style) {}

  // More of the file, cut anywhere; gives the text of the entries that are complete now.
  std::string Add(std::string_view data);
  // What is left of an entry that has no end, as where the file was cut off.
  std::string Flush();

 private:
  void Entry(std::string_view line, std::string& out) const;

  Style style_;
  std::string partial_;
};

}  // namespace nucleus::cli
