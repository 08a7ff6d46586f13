// Whatever the bytes are: no crash, and what was accepted survives another round.
#include <cstdint>
#include <cstdlib>

#include "state/parts/launch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto status = nucleus::DecodeStatus({reinterpret_cast<const char*>(data), size});
  if (!status) return 0;
  const auto again = nucleus::DecodeStatus(nucleus::Encode(*status));
  if (!again || *again != *status) std::abort();
  return 0;
}
