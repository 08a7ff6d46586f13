// What name servers say of a name: its IPv4 addresses, and for how long. By c-ares, which asks, asks again, goes over
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
  std::vector<spec::Ipv4> addresses;  // not empty
  std::uint32_t seconds = 0;          // the shortest of all that led there
};

// The message of an answer. Pure.
Result<DnsAnswer> ReadDnsAnswer(std::string_view message, std::string_view name);

// All at once, in the network namespace of the calling thread, which opens the sockets; nothing of the machine's own
// way to look names up takes part. One answer a name, after some seconds at most. stop: where that becomes readable,
// what is not answered yet is kInterrupted; none: it never does.
std::map<std::string, Result<DnsAnswer>> LookUp(const std::vector<std::string>& names,
                                                const std::vector<spec::IpAddress>& servers, const sys::Fd* stop);

}  // namespace nucleus::netns
