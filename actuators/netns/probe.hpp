// What the kernel says about bridges, network namespaces, firewall tables and name files. Changes nothing.
//
// Facts are documented in state/parts/netns_facts.cpp. Links, addresses and files are readable by everybody; the
// inside of a namespace and the rules of a table are not: without the privilege they are kUnreadable.
// In the network namespace of the process. One call at a time per object.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::netns {

class NetnsProber : public Prober {
 public:
  explicit NetnsProber(Directories directories);
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
};

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
