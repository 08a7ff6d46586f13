// Whether the containers that a plan starts could be started, as far as that is to be seen before its first step: who
// the workload is, its capabilities, the list of its mounts, its secrets and credentials, its Landlock rules, and the
// manifest of its rootfs. Nobody is stopped for one that could not come back; where nobody would be, the problem is a
// warning, and the others start.
//
// Reads only; goes through no tree, and verifies none, but by VerifySeals(). What a service that comes before, or a
// volume that is made, may bring is not missed. A problem has the place of the key that it is about. Threads: any.
#pragma once

#include <vector>

#include "attest/walk.hpp"
#include "reconcile/plan.hpp"
#include "spec/core/names.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

enum class Asking : std::uint8_t {
  kStarter,  // whoever starts them: everything counts
  kLooker,   // the caller's credentials are a warning, and what it may not read is not told
  kCommand,  // as the first, of the one container of a command: all is refused, and options are named, not keys
};
// seen: what runs.
std::vector<spec::Problem> CheckStarts(const spec::Topology& desired, const reconcile::Plan& plan,
                                       const Observations& seen, const Directories& directories, Asking asking);
// The root file systems that have to be as they were sealed, of those that run and would be stopped for one that is
// not, or that wait for it: each whole, once. What `walk` has stopped is no problem.
std::vector<spec::Problem> VerifySeals(const spec::Topology& desired, const reconcile::Plan& plan,
                                       const Observations& seen, const Directories& directories, Asking asking,
                                       const attest::WalkOptions& walk);
// Of all services, which may be meant for another machine: what the files say. What this machine and its root file
// systems say is a warning.
std::vector<spec::Problem> CheckStarts(const spec::Topology& desired, const Directories& directories);

// An error of a start whose trail names a key, in the words of a command line: "--tmpfs /usr: ...". Others stay.
Error SayAsFlags(Error error);

}  // namespace nucleus::cli
