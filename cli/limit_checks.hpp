// Whether limits can be held here, asked before anything is made or written: what the planner asks too. kUnsupported:
// one that is to be held, in production, cannot be.
#pragma once

#include <string>

#include "reconcile/planner.hpp"
#include "reconcile/wanted.hpp"

namespace nucleus::cli {

// Of one container of a command: what is not held, as options, "--memory, --cpus"; "": nothing.
Result<std::string> UnheldOptions(const spec::Service& service, const reconcile::Side& side);
// The same of one in the background, whose unit of systemd, where it has one, is there already.
Result<> CheckOptionLimits(const spec::Topology& topology, const Directories& directories);

// A warning of the plan of one container of a command, of an option where it is of a key that is not held: "--memory:
// not held, ..." for "service.box memory: not held, ...".
std::string SaidOfOptions(const reconcile::Plan& plan, const std::string& warning);

// Of a topology that is to be planned as a whole, and would be the first for which something is kept: of others the
// planner tells soon enough.
Result<> CheckLimits(const spec::Topology& desired, const reconcile::Options& options);

}  // namespace nucleus::cli
