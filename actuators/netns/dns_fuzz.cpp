// What a name server answers, as read by dns.cpp.
#include "actuators/netns/dns.hpp"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  using nucleus::netns::Family;
  for (const auto family : {Family::kIpv4, Family::kIpv6}) {
    const auto answer = nucleus::netns::ReadDnsAnswer({reinterpret_cast<const char*>(data), size}, "a.example", family);
    if (answer && (answer->addresses.empty() || answer->addresses.size() > nucleus::netns::kMostAddresses))
      __builtin_trap();
  }
  return 0;
}
