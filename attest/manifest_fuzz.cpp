// Any text as a manifest: what is accepted is written and read again as the same, and once written stays as it is.
#include <cstdlib>

#include "attest/manifest.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::attest;
  const auto manifest = ParseManifest(std::string_view(reinterpret_cast<const char*>(data), size), "fuzz");
  if (!manifest) return 0;
  const auto text = WriteManifest(*manifest);
  if (!text) std::abort();
  const auto again = ParseManifest(*text, "fuzz");
  if (!again || *again != *manifest) std::abort();
  const auto twice = WriteManifest(*again);
  if (!twice || *twice != *text) std::abort();
  for (const Entry& entry : manifest->entries) {
    if (entry.path.starts_with('/') || ("/" + entry.path + "/").find("/../") != std::string::npos) std::abort();
  }
  return 0;
}
