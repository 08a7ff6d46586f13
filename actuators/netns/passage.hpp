// The way of bridged packets through the rules of others.
//
// nftables asks every chain at a hook, and each has to accept. A chain that drops what is forwarded by its policy, as
// Docker's does and many an administrator's, would let nothing through from or to a bridge of nucleus; with
// br_netfilter not even what stays on it. So rules are put at the end of such a chain, two for each bridge: what the
// chain drops by a rule stays dropped, and the project's own table is asked as well. They carry the name of that table
// as their comment, and go with it. Whoever drops may load its rules anew, and then they are gone: of a topology that
// is drift; of a container started by hand nobody looks, so whoever opens a way opens those of all bridges.
//
// In the network namespace of the calling thread; changes under the lock of the host.
#pragma once

#include <string>
#include <vector>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

// Chains of somebody else's that drop what is forwarded, and have not the rules for the bridges of that table:
// "ip filter FORWARD". Costs microseconds where nobody drops.
Result<std::vector<std::string>> FindObstacles(const FirewallWanted& wanted);

// For those bridges, and for all others of ours that have no rule there. Until there is no obstacle to those bridges:
// chains come, go and are emptied meanwhile. Errors: kConflict where one is still closed after some tries.
Result<> OpenPassages(const FirewallWanted& wanted);
Result<> ClosePassages(const std::string& table);

}  // namespace nucleus::netns
