// Which ids a container's user namespace has.
//
// The machine's root gives ids that nobody else has: a range of 65536 of those that systemd sets aside for containers
// (UIDS-GIDS.md: 524288 to 1878982655), or the identity for keep-id. An ordinary user's nucleus is root of a user
// namespace already and gives what that has: itself as 0, and subordinate ids from 1 on.
// Errors: kUnsupported where there are no ids to give. Threads: any.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actuators/sys/id_ranges.hpp"
#include "spec/types.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::security {

// Our own ids, as the maps of our user namespace have them.
struct OwnIds {
  std::vector<sys::IdMapLine> uids, gids;
};
Result<OwnIds> ReadOwnIds();

// range: ids of its own, where it needs such (NeedOf). Not enabled: it runs in the user namespace that we are in. Pure.
Result<UserNamespace> MapUsers(const spec::Service& service, const OwnIds& own,
                               const std::optional<sys::IdSpan>& range);

// What a container's ids are outside of our own user namespace, where we are in one; not enabled: they are the
// machine's. Pure.
UserNamespace SeenFromOutside(const UserNamespace& space, const OwnIds& own);

// How many ids of its own a container needs, and from which on they may be; none: it needs none.
struct RangeNeed {
  sys::IdSpan from;
  std::uint32_t count = 0;
  bool machines = false;  // not those that the machine has lent to somebody
};
std::optional<RangeNeed> NeedOf(const spec::Service& service, const OwnIds& own);

// Who the workload is where nobody says: root, or with keep-id the caller. Pure.
spec::Owner DefaultUser(const spec::Service& service, const OwnIds& own);

// Whether the namespace has these ids; else which one it lacks, in words.
Result<> CheckMapped(const Identity& identity, const UserNamespace& space, const OwnIds& own);

}  // namespace nucleus::security
