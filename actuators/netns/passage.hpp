// The way of bridged packets through the rules of others.
//
// nftables asks every chain at a hook, and each has to accept. A chain that drops what is forwarded by its policy, as
// Docker's does and many an administrator's, would let nothing through from or to a bridge of nucleus; with
// br_netfilter not even what stays on it. So two rules are put at the head of such a chain, or of DOCKER-USER where its
// table has that, and accept both; the project's own table is asked as well, and decides about them as before. They
// carry a comment of ours, and go with the last table of nucleus.
//
// In the network namespace of the calling thread; changes under the lock of the host.
#pragma once

#include <string>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::netns {

// A chain of somebody else's that drops what is forwarded, and has no such rules: "ip filter FORWARD".
struct Obstacle {
  std::string family;  // "ip", "ip6", "inet"
  std::string table;
  std::string chain;
  std::string into;  // the chain where the rules belong
  [[nodiscard]] std::string Text() const { return family + " " + table + " " + chain; }
};

// Costs microseconds where nobody drops.
Result<std::vector<Obstacle>> FindObstacles();

Result<> OpenPassages();
Result<> ClosePassages();  // everywhere

}  // namespace nucleus::netns
