// The inside of pinned network namespaces, many at a time: each is opened and entered by a worker thread and asked by
// netlink.
#pragma once

#include <string>
#include <vector>

#include "actuators/netns/egress.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/netns/routing.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

struct Inside {
  Snapshot snapshot;
  Facts sysctls;       // SettingName() -> value
  RoutingRules rules;  // for RoutingFaults()
  Result<Egress> egress;
};

// What is to be seen inside, besides what every namespace has.
struct Scope {
  bool egress = false;  // its egress rules one by one: ReadEgress()
  bool v6 = false;      // there is IPv6; else it is passed over
  bool rules = true;    // its routing rules: DumpRules()
};

struct Place {
  std::string pin;  // path
  Scope scope = {};
};
struct Seen {
  Result<Pin> pin;  // closed again: a table of so many descriptors would be made larger again and again, and waited
                    // for each time (expand_fdtable() in the kernel's fs/file.c)
  Result<Inside> inside;  // kNotFound where that is not mounted
};
// In the calling thread, which does not come back to the namespace that it was in, OwnNamespace(), and has to end.
Seen LookAt(const Place& place, const NamespaceId& own, Netlink::Buffer& buffer);
// One answer per place, in order.
std::vector<Seen> LookInside(const std::vector<Place>& places);

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
