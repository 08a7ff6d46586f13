// Whatever the bytes are: no crash, and what was accepted survives another round.
#include <cstdint>
#include <cstdlib>

#include "state/parts/network_help.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)nucleus::ReadNetworkState(text);
  const auto help = nucleus::DecodeNetworkHelp(text);
  if (!help) return 0;
  const auto again = nucleus::DecodeNetworkHelp(nucleus::EncodeNetworkHelp(*help, 1, "/x"));
  if (!again || *again != *help) std::abort();
  return 0;
}
