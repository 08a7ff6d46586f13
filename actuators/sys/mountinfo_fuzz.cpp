// Any text: the parser answers or refuses, and what it accepts has a place and a type.
#include <cstdlib>

#include "actuators/sys/mountinfo.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto mounts = nucleus::sys::ParseMountinfo(std::string_view(reinterpret_cast<const char*>(data), size));
  if (mounts && mounts->size() > size) std::abort();
  return 0;
}
