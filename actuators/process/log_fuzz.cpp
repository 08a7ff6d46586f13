// A line in the place of a log's entry, and what a workload may have written: escaped, it has nothing that a terminal
// obeys.
#include <algorithm>
#include <cstdlib>

#include "actuators/process/log.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  process::LogEntry entry;
  if (process::ParseEntry(text.substr(0, text.find('\n')), entry) && entry.text.size() > size) std::abort();
  const std::string shown = process::Escaped(text);
  const auto obeyed = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  if (std::ranges::any_of(shown, obeyed)) std::abort();
  return 0;
}
