// Any text as an env file: names that a shell would take, values without a newline, places inside the text.
#include <algorithm>
#include <cstdlib>

#include "spec/inputs.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
  const auto file = nucleus::spec::ParseEnvFile(text);
  for (const auto& pair : file.pairs) {
    if (pair.name.empty() || pair.name.find_first_of("= \n") != std::string::npos) std::abort();
    if (pair.value.find('\n') != std::string::npos || pair.value.find('\0') != std::string::npos) std::abort();
    if (pair.line == 0 || pair.line > lines) std::abort();
  }
  if (file.pairs.size() + file.problems.size() > lines) std::abort();
  return 0;
}
