// What both sides of the network facts must say in the same words: ExpectedFacts() and the prober of actuators/netns.
// Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "state/parts/parts.hpp"

namespace nucleus {

using MacAddress = std::array<std::uint8_t, 6>;

// The hardware address of an interface of ours follows from its IPv4 address: when a container is replaced, or a veth
// made again, the neighbours' ARP entries stay right. Locally administered, unicast.
MacAddress MacOf(spec::Ipv4 address);
std::string Format(const MacAddress& mac);

// Settings of every pinned network namespace: path below /proc/sys -> value, as the kernel prints it but with blanks.
// Nothing is forwarded, whatever the machine does: a new namespace copies its settings, and a neighbour on one network
// would else reach another by way of who is on both.
// A namespace of its own has no privileged ports to protect, and the workload has no capability to bind them with;
// echo sockets (icmp(7)) spare ping the raw socket. Redirects are not taken: a neighbour could attract traffic with
// them, and the host itself sends some when two containers meet through a published port.
// nested: in a user namespace, where the first group is the only one that is there for certain.
std::span<const std::pair<std::string_view, std::string_view>> NetnsSysctls(bool nested = false);
// Of these, what is looked up in files: every link tells with its other properties what became of the rest, of how
// links begin (conf/default) and of kForwardSetting, which is set for each.
std::span<const std::pair<std::string_view, std::string_view>> NetnsSettingsInFiles();
inline constexpr std::string_view kForwardSetting = "net/ipv4/ip_forward";
// The same where a program in user space makes the link, in a namespace of an ordinary user's: of the groups there the
// first is the only one that is there for certain.
std::span<const std::pair<std::string_view, std::string_view>> UserspaceSysctls();
// And of interfaces made later: they have no IPv6, an address nobody asked for would be a way around the rules. v6: of
// the link of a program in user space that has; only the addresses that it is given, at once.
std::span<const std::pair<std::string_view, std::string_view>> NewLinkSysctls(bool v6);
// The same for a bridge; "%" stands for the link's name. 127.0.0.1 may be answered to (see firewall_model.hpp), and a
// container cannot make itself the host's IPv6 router.
std::span<const std::pair<std::string_view, std::string_view>> BridgeSysctls(bool v6);
// And for a link inside: as it begins, unless somebody has changed it.
std::span<const std::pair<std::string_view, std::string_view>> Ipv4LinkSysctls();
// The same of one whose network has IPv6. Only its own address and a link-local one, at once: nobody else can
// have chosen them. The last lets IPv6 begin.
std::span<const std::pair<std::string_view, std::string_view>> Ipv6LinkSysctls();
// "net/ipv4/conf/%/route_localnet" -> "ipv4.conf.route_localnet", the fact's name.
std::string SettingName(std::string_view setting);

// One end of a link in a fact: "10.42.0.2/24 mac 02:6e:0a:2a:00:02 mtu 1500 up".
std::string InsideText(std::string_view addresses, const MacAddress& mac, std::uint32_t mtu, bool up);
std::string HostEndText(std::string_view name, std::string_view bridge, std::uint32_t mtu, bool up, bool hairpin,
                        std::string_view alias);
// link: NetworkFact() where it is one of its networks, else its name.
std::string RouteText(const spec::IpAddress& gateway, std::string_view link);
inline constexpr std::string_view kDefaultRoute = "default route", kDefaultRoute6 = "default route of IPv6";
// What a link that leads to a network is called in a fact: what it is called inside says nothing of where it leads.
std::string NetworkFact(std::string_view network);

inline constexpr std::uint32_t kNameFileMode = 0644;
// The contents of the file for NamesWanted::hostname.
std::string HostnameFile(const NamesWanted& wanted);

}  // namespace nucleus
