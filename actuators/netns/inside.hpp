// The inside of pinned network namespaces, many at a time: each is entered by a worker thread and asked by netlink.
#pragma once

#include <string>
#include <vector>

#include "actuators/netns/egress.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

struct Inside {
  Snapshot snapshot;
  Facts sysctls;  // SettingName() -> value
  Facts routing;  // RoutingFaults()
  Result<Egress> egress;
};

// What is to be seen inside, besides what every namespace has.
struct Scope {
  bool egress = false;  // its egress rules one by one: ReadEgress()
  bool v6 = false;      // there is IPv6; else it is passed over
  bool routing = true;  // rules and tables are compared: RoutingFaults()
};

// One answer per pin, in order. Pins that are not mounted get kNotFound.
std::vector<Result<Inside>> LookInside(const std::vector<Pin>& pins, const std::vector<Scope>& scopes);

// "net/ipv6/conf/%/forwarding" of a link as a path in the machine's /proc.
std::string SysctlPath(std::string_view setting, std::string_view link);

// In the namespace of the calling thread. `link` stands for "%" in a setting's path. A setting that this kernel does
// not have (no IPv6) counts as held: there is nothing that it could restrict.
//
// By way of instances of proc that are mounted nowhere and used for a few namespaces each: every namespace has
// directory entries of its own for the same names, all in one chain of the instance's, and a thousand namespaces make
// each look-up a walk over thousands (proc_sys_compare() in fs/proc/proc_sysctl.c).
Facts ReadSysctls(std::span<const std::pair<std::string_view, std::string_view>> settings, std::string_view link);
// Writes those that are not so.
Result<> WriteSysctls(std::span<const std::pair<std::string_view, std::string_view>> settings, std::string_view link);

}  // namespace nucleus::netns
