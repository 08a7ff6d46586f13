// Proposes subnets for networks that name none, and an address on every network for every service. Pure.
//
// What was leased before stays as long as it still fits; the rest gets the lowest that is free. The proposal is taken
// host-wide by the store, in the transaction that opens the revision.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "reconcile/plan.hpp"
#include "spec/core/error.hpp"

namespace nucleus::reconcile {

struct Leases {
  std::map<std::string, spec::Ipv4> addresses;    // "service.web/internal"
  std::map<std::string, spec::Ipv4Net> subnets;   // "network.internal": of every network, chosen or declared
  std::map<std::string, spec::Ipv6Net> subnets6;  // chosen for networks that declare none
};

// Errors: kConflict where a declared subnet is another project's, and where nothing is left to choose.
Result<Leases> Allocate(const spec::Topology& desired, const Applied& applied, const Host& host, const Taken& taken);

// The leases that the applied topology has: what it declares, and what was chosen for it.
Leases AppliedLeases(const Applied& applied);

std::string AddressKey(std::string_view service, std::string_view network);

// The same without a text of its own, to look up by: every service of a large topology is looked up several times.
struct Attached {
  std::string_view service;
  std::string_view network;
  bool operator==(const Attached&) const = default;

  struct Hash {
    std::size_t operator()(const Attached& attached) const {
      const std::hash<std::string_view> hash;
      return hash(attached.service) * 31 + hash(attached.network);
    }
  };
};
std::optional<Attached> ParseAddressKey(std::string_view key);
std::string SubnetKey(std::string_view network);
spec::Ipv4 GatewayOf(const spec::Network& network, const spec::Ipv4Net& subnet);

}  // namespace nucleus::reconcile
