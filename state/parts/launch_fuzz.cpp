// Whatever the bytes are: no crash, and what was accepted survives another round.
#include <cstdint>
#include <cstdlib>

#include "state/parts/launch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto launch = nucleus::DecodeLaunch(text)) {
    const auto again = nucleus::DecodeLaunch(nucleus::Encode(*launch));
    if (!again || *again != *launch) std::abort();
  }
  if (const auto policy = nucleus::DecodePolicy(text)) {
    const auto again = nucleus::DecodePolicy(nucleus::Encode(*policy));
    if (!again || *again != *policy) std::abort();
  }
  return 0;
}
