// What the kernel says about bridges, network namespaces, firewall tables and name files. Changes nothing.
//
// Facts are documented in state/parts/netns_facts.cpp. Links, addresses and files are readable by everybody; the
// inside of a namespace and the rules of a table are not: without the privilege they are kUnreadable.
// In the network namespace of the process. One call at a time per object; several probers may be asked at once.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::netns {

class EarlyLook;

// Bridges and network namespaces.
class NetnsProber : public Prober {
 public:
  explicit NetnsProber(Directories directories);
  ~NetnsProber() override;
  // The machine's links are looked at from now on, and, as soon as its name is known, what a project has. The next
  // Probe() of it that is not only of what it asks for answers with that. What was not looked at, or too long ago, is
  // looked at then.
  void Begin();
  void BeginWith(const std::string& project);  // once after each Begin()
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
  std::unique_ptr<EarlyLook> early_;
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
