// What the network of a service needs a program for, for as long as it lives: a way out in user space, and names that
// egress rules let through. Asked for in a file of the service's directory that nucleus-network reads, and reads again
// at SIGHUP: decision 0021. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"
#include "spec/types.hpp"
#include "state/parts/network_order.hpp"

namespace nucleus {

// What such a program makes inside: the address of the service, and who it sends to. slirp4netns(1), "FILTERING
// CONNECTIONS".
inline constexpr spec::Ipv4Net kUserspaceSubnet{{10U << 24 | 2U << 8}, 24};
inline constexpr spec::Ipv4 kUserspaceAddress{10U << 24 | 2U << 8 | 100};
inline constexpr spec::Ipv4 kUserspaceGateway{10U << 24 | 2U << 8 | 2};
// And of IPv6: slirp4netns has these, and no setting for them. The service's is the IPv4 one's counterpart.
inline constexpr spec::Ipv6Net kUserspaceSubnet6{{{0xfd}}, 64};
inline constexpr spec::Ipv6 kUserspaceAddress6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100}};
inline constexpr spec::Ipv6 kUserspaceGateway6{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};
inline constexpr std::string_view kUserspaceLink = "eth0";

struct NetworkHelp {
  spec::NatBackend backend = spec::NatBackend::kKernel;  // of user space, or kKernel: the way out needs nobody
  std::string pin;                                       // NetnsWanted::pin
  std::vector<spec::PortForward> ports;                  // published by a backend of user space
  std::vector<spec::IpAddress> resolvers;                // who is asked for the names
  std::vector<std::string> domains;
  bool must_resolve = false;  // EgressWanted::domains_must_resolve
  bool v6 = false;            // there is IPv6: of the way out, and of what names stand for
  bool operator==(const NetworkHelp&) const = default;
};

Digest DigestOf(const NetworkHelp& help);
std::string EncodeNetworkHelp(const NetworkHelp& help, std::uint64_t serial, std::string_view program);
Result<NetworkHelp> DecodeNetworkHelp(std::string_view text);  // trusts nothing

inline constexpr std::string_view kNetworkHelpFact = "network helper";

}  // namespace nucleus
