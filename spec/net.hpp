// IP addresses, networks and published ports: text to value and back.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/types.hpp"

namespace nucleus::spec {

Result<Ipv4> ParseIpv4(std::string_view text);
Result<Ipv4Net> ParseIpv4Net(std::string_view text);  // host bits must be zero
Result<Ipv6> ParseIpv6(std::string_view text);        // no zone, no IPv4 address mapped into it
Result<Ipv6Net> ParseIpv6Net(std::string_view text);
Result<IpAddress> ParseIpAddress(std::string_view text);
Result<IpNet> ParseIpNet(std::string_view text);
std::string Format(Ipv4 address);        // "10.42.0.1"
std::string Format(const Ipv4Net& net);  // "10.42.0.0/24"
bool Overlap(const Ipv4Net& a, const Ipv4Net& b);
bool Contains(const Ipv4Net& net, Ipv4 address);
Ipv4 Broadcast(const Ipv4Net& net);

std::string Format(const Ipv6& address);  // RFC 5952: "fd00::1"
std::string Format(const Ipv6Net& net);   // "fd00::/64"
std::string Format(const IpAddress& address);
std::string Format(const IpNet& net);
bool Overlap(const Ipv6Net& a, const Ipv6Net& b);
bool Contains(const Ipv6Net& net, const Ipv6& address);
Ipv4Net NetOf(Ipv4 address, std::uint8_t prefix);  // that it is in
Ipv6Net NetOf(const Ipv6& address, std::uint8_t prefix);
// As far from the base of `to` as `address` is from that of `from`. `to` has room for it.
Ipv6 Counterpart(Ipv4 address, const Ipv4Net& from, const Ipv6Net& to);
bool IsLinkLocal(const Ipv6& address);    // fe80::/10
bool IsUniqueLocal(const Ipv6& address);  // fc00::/7, RFC 4193: means nothing to the world outside

bool IsV6(const IpAddress& address);
bool IsUnspecified(const IpAddress& address);  // 0.0.0.0, ::
bool IsLoopback(const IpAddress& address);     // 127.0.0.0/8, ::1

// "[ip:]host:container[/tcp|udp]", an IPv6 address in brackets; host and container may be ranges of one length,
// "8000-8003:9000-9003".
Result<std::vector<PortForward>> ParsePortForwards(std::string_view text);
// The same for a single port.
Result<PortForward> ParsePortForward(std::string_view text);
std::string Format(const PortForward& forward);
// Whether both would want the same packets: one protocol and host port, on addresses that meet.
bool Collide(const PortForward& a, const PortForward& b);

}  // namespace nucleus::spec
