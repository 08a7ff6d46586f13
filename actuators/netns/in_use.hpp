// What of the network is taken on this machine, as the kernel says. Changes nothing.
//
// In the network namespace of the process.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/core/names.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

// The IPv4 subnets that the host reaches over links that are not of this project: neither by their alias nor, its
// networks' bridges, by their name. "": of no project of ours.
Result<std::vector<spec::Ipv4Net>> HostRoutes(const std::string& project,
                                              const std::vector<std::string>& networks = {});

// The same of IPv6.
Result<std::vector<spec::Ipv6Net>> HostRoutes6(const std::string& project,
                                               const std::vector<std::string>& networks = {});

// All of IPv4 that the host reaches but by its default route, its own addresses among it.
Result<std::vector<spec::Ipv4Net>> AllRoutes();

// What the kernel says a project has of host-wide choices, for one that the store has lost.
struct LeasesInUse {
  std::map<std::string, spec::Ipv4> addresses;   // "service.web/internal"
  std::map<std::string, spec::Ipv4Net> subnets;  // "network.internal"
};
Result<LeasesInUse> FindLeasesInUse(const Directories& directories, const std::string& project);

}  // namespace nucleus::netns
