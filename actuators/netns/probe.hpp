// What the kernel says about bridges, network namespaces, firewall tables and name files. Changes nothing.
//
// Facts are documented in state/parts/netns_facts.cpp. Links, addresses and files are readable by everybody; the
// inside of a namespace and the rules of a table are not: without the privilege they are kUnreadable.
// In the network namespace of the process. One call at a time per object; several probers may be asked at once.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::netns {

// Bridges and network namespaces.
class NetnsProber : public Prober {
 public:
  explicit NetnsProber(Directories directories);
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
};

// The tables of nftables.
class FirewallProber : public Prober {
 public:
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<Observations> Probe(const ProbeRequest& request) override;
};

// hosts, resolv.conf and hostname of each service.
class NamesProber : public Prober {
 public:
  explicit NamesProber(Directories directories);
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
};

}  // namespace nucleus::netns
