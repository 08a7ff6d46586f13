// The way of bridged packets through the rules of others.
//
// nftables asks every chain at a hook, and each has to accept. A chain that drops what is forwarded by its policy, as
// Docker's does and many an administrator's, would let nothing through from or to a bridge of nucleus; with
// br_netfilter not even what stays on it. So rules are put at the end of such a chain, two for each bridge: what the
// chain drops by a rule stays dropped, and the project's own table is asked as well. They carry the name of that table
// as their comment, and go with it.
//
// In the network namespace of the calling thread; changes under the lock of the host.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

// A chain of somebody else's that drops what is forwarded, and has not the rules: "ip filter FORWARD".
struct Obstacle {
  std::string chain;
  std::vector<std::uint64_t> stale;  // handles of rules that take the place of the right ones
};

// For the bridges of that table. Costs microseconds where nobody drops.
Result<std::vector<Obstacle>> FindObstacles(const FirewallWanted& wanted);

Result<> OpenPassages(const FirewallWanted& wanted);
Result<> ClosePassages(const std::string& table);

}  // namespace nucleus::netns
