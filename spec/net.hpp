// IPv4 addresses, networks and published ports: text to value and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/types.hpp"

namespace nucleus::spec {

Result<Ipv4> ParseIpv4(std::string_view text);
Result<Ipv4Net> ParseIpv4Net(std::string_view text);  // host bits must be zero
std::string Format(Ipv4 address);                     // "10.42.0.1"
std::string Format(const Ipv4Net& net);               // "10.42.0.0/24"
bool Overlap(const Ipv4Net& a, const Ipv4Net& b);
bool Contains(const Ipv4Net& net, Ipv4 address);
Ipv4 Broadcast(const Ipv4Net& net);

// "[ip:]host:container[/tcp|udp]"; host and container may be ranges of one length, "8000-8003:9000-9003".
Result<std::vector<PortForward>> ParsePortForwards(std::string_view text);
// The same for a single port.
Result<PortForward> ParsePortForward(std::string_view text);
std::string Format(const PortForward& forward);
// Whether both would want the same packets: one protocol and host port, on addresses that meet.
bool Collide(const PortForward& a, const PortForward& b);

}  // namespace nucleus::spec
