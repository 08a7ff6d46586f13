// Any text as a trace: what is read writes as it reads, and makes a profile that reads back.
#include <cstdlib>

#include "policy/seccomp_trace.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::policy;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto read = ReadTrace(text, "t.ndjson");
  if (!read.trace && read.problems.empty()) std::abort();
  if (!read.trace) return 0;
  std::string lines;
  for (const auto& [name, call] : *read.trace) {
    const std::string line = TraceLine(name, call);
    if (line.size() > 250'000) return 0;  // longer than a line that is read may be
    lines += line;
  }
  if (ReadTrace(lines, "t.ndjson").trace != read.trace) std::abort();
  for (const bool arguments : {false, true}) {
    const auto profile = GenerateSeccomp(*read.trace, {.architectures = {}, .arguments = arguments});
    const std::string json = SeccompProfileJson(profile);
    if (json.size() > 500'000 || read.trace->empty()) continue;
    const auto again = ReadSeccompProfile(json, "p.json");
    if (!again.profile || *again.profile != profile) std::abort();
  }
  return 0;
}
