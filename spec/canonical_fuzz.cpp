// Any text as canonical JSON: what is accepted is written as it reads.
#include <cstdlib>

#include "spec/load.hpp"

namespace {

template <class Read>
void RequireFixedPoint(Read read, std::string_view text) {
  const auto value = read(text);
  if (!value) return;
  const std::string json = nucleus::spec::ToJson(*value);
  const auto again = read(json);
  if (!again || nucleus::spec::ToJson(*again) != json) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::spec;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  RequireFixedPoint(FromJson, text);
  RequireFixedPoint(NetworkFromJson, text);
  RequireFixedPoint(VolumeFromJson, text);
  RequireFixedPoint(ServiceFromJson, text);
  return 0;
}
