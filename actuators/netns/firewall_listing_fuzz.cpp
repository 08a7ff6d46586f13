// Whatever a listing of rules says: it is taken apart or refused, and what was taken apart has facts.
#include "actuators/netns/firewall_listing.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto state = nucleus::netns::ParseListing({reinterpret_cast<const char*>(data), size});
  if (state) (void)nucleus::FirewallFacts(*state);
  return 0;
}
