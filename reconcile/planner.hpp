// The planner. Pure: no I/O, no clock, no logging, no randomness; equal inputs give equal plans in any order of input.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/plan.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"

namespace nucleus::reconcile {

struct Options {
  std::set<Address> targets;      // with what they depend on; empty: all
  std::set<Address> excludes;     // and what depends on them
  std::set<std::string> rerun;    // jobs to run again
  std::set<std::string> replace;  // services to replace although nothing changed
  bool destroy = false;           // desired is nothing
  bool delete_data = false;
  bool drift_only = false;  // `nucleus drift`: desired is what was applied, or what an apply that failed has begun
  Directories directories;
};

struct Input {
  const spec::Topology* desired = nullptr;  // null with destroy
  const Applied* applied = nullptr;
  const Observed* observed = nullptr;
  const Taken* taken = nullptr;
  Options options;
};

// Errors: a protected resource would be destroyed or replaced; no address or subnet is left; a published port is taken;
// a production service asks for a limit the machine has no controller for. All of them before any step.
Result<Plan> MakePlan(const Input& input);

// What every part of the desired and applied resources should be: the question to put to the probers, so that
// observation and plan speak of the same things. Keys of applied resources that are not desired any more are included.
Result<std::map<PartKey, Wanted>> WantedParts(const spec::Topology* desired, const Applied& applied, const Host& host,
                                              const Taken& taken, const Options& options);

}  // namespace nucleus::reconcile
