// The ids that an ordinary user's own user namespace has: the caller as 0, and from 1 on the subordinate ids that the
// machine lends to it. user_namespaces(7), subuid(5), newuidmap(1). Errors: kSystem where a file cannot be read.
// Threads: any.
#pragma once

#include <sys/types.h>

#include <vector>

#include "actuators/sys/id_ranges.hpp"

namespace nucleus::sys {

// Only from where root installs programs: they are setuid, and what they are given decides who we are.
inline constexpr const char* kNewUidMap = "/usr/bin/newuidmap";
inline constexpr const char* kNewGidMap = "/usr/bin/newgidmap";

struct CallerIds {
  std::vector<IdMapLine> uids, gids;
};
// Without the programs or a line in both files: the caller's own ids only.
Result<CallerIds> IdsOfCaller(uid_t uid, gid_t gid);

}  // namespace nucleus::sys
