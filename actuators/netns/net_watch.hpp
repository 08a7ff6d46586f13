// Changes of links, addresses, routes and nftables rules, as the kernel tells of them: that something of a project's
// was changed, on the machine or in its pinned namespaces, and nothing more. Reads only, but that a namespace is given
// a number by which the caller's knows it. rtnetlink(7), netlink(7): NETLINK_LISTEN_ALL_NSID.
//
// Of others' it tells only what may stand in the project's way: their chains and rules. Two sockets, whatever the
// number of namespaces. In the network namespace it was opened in; one thread at a time.
#pragma once

#include <linux/netlink.h>
#include <sys/socket.h>

#include <array>
#include <set>
#include <string>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::netns {

class NetWatch {
 public:
  static Result<NetWatch> Open(const std::string& project);
  [[nodiscard]] std::array<int, 2> fds() const {
    return {routes_.get(), rules_.get()};
  }  // readable: there is something

  // From here on what goes on inside these too, and on the links that have the project's tag now. Pins that are not
  // mounted are passed over. The error is the first; what goes on in the others is heard all the same.
  Result<> Want(const std::vector<std::string>& pins);
  // Takes all that there is; whether any of it concerns the project.
  bool Heard();

 private:
  NetWatch(const std::string& project, sys::Fd routes, sys::Fd rules);
  bool HeardOn(const sys::Fd& socket);
  [[nodiscard]] bool Concerns(nlmsghdr* message, int nsid) const;
  [[nodiscard]] bool RouteConcerns(nlmsghdr* message) const;
  [[nodiscard]] bool RuleConcerns(nlmsghdr* message, bool inside) const;

  std::string tag_, table_;
  sys::Fd routes_, rules_;
  std::set<int> links_;   // on the machine, by index
  std::set<int> inside_;  // namespaces, by number
};

}  // namespace nucleus::netns
