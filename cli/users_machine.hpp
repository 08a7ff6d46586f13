// What an ordinary user's topologies live in: a user, a mount and a network namespace in which nucleus is root, and
// does what it does for root. They are kept by a program (nucleus-network), which is also their way out: one
// slirp4netns or pasta for all of the user's topologies, behind which bridges, rules and names are the kernel's as
// ever.
//
// There from the first apply until the last topology is destroyed. user_namespaces(7), docs/decisions/0023.
#pragma once

#include <string>
#include <vector>

#include "reconcile/plan.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"
#include "spec/types.hpp"
#include "state/parts/network_order.hpp"

namespace nucleus::cli {

// This process is in it from here on, where there is one; false: there is none, or the caller is root. Only while the
// process has one thread.
Result<bool> JoinUsersMachine(const Directories& directories);
// The same, and one is made where there is none.
Result<> NeedUsersMachine(const Directories& directories);

// The directory of its program.
std::string UsersMachine(const Directories& directories);
// Whether this process is in one.
bool InUsersMachine(const Directories& directories);
// Inside: what all projects there have taken decides whether it has a way out, by a program of user space, and which
// ports of the machine lead to it; no others do.
Result<> SetWayOutOfUsersMachine(const Directories& directories, const reconcile::Taken& taken);
// A published port on its way into it: from there its table leads on.
inline spec::PortForward AtUsersMachine(spec::PortForward port) {
  port.container_port = port.host_port;
  return port;
}
// Inside: what its way out is like, as the program that keeps it says.
NetworkState StateOfUsersMachine(const Directories& directories);
// Nothing needs it any more.
Result<> EndUsersMachine(const Directories& directories);

}  // namespace nucleus::cli
