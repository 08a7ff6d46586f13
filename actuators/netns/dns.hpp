// What name servers say of a name: its addresses, and for how long. By c-ares, which asks, asks again, goes over
// to TCP where an answer is too long for a datagram, and passes over answers to questions that nobody asked.
//
// An answer is hostile input. It is plain DNS: whoever is on the way to the name server can say what he likes.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

inline constexpr int kMostAddresses = 64;  // of one answer; the rest is not read

struct DnsAnswer {
  std::vector<spec::IpAddress> addresses;  // not empty
  std::uint32_t seconds = 0;               // the shortest of all that led there
};

// The message of an answer, to who has asked for addresses of that family. Pure.
enum class Family : std::uint8_t { kIpv4, kIpv6 };
Result<DnsAnswer> ReadDnsAnswer(std::string_view message, std::string_view name, Family family = Family::kIpv4);

// All at once, in the network namespace of the calling thread, which opens the sockets; nothing of the machine's own
// way to look names up takes part. One answer a name, after some seconds at most. v6: its IPv6 addresses too; a name
// that has those of one family only is a good one. stop: where that becomes readable, what is not answered yet is
// kInterrupted; none: it never does.
std::map<std::string, Result<DnsAnswer>> LookUp(const std::vector<std::string>& names,
                                                const std::vector<spec::IpAddress>& servers, bool v6,
                                                const sys::Fd* stop);

}  // namespace nucleus::netns
