// Which resources a plan may touch: all, or those that --target and --exclude leave. Pure.
#pragma once

#include <memory>
#include <set>

#include "reconcile/planner.hpp"

namespace nucleus::reconcile {

struct Scope {
  bool all = true;
  std::set<Address> in;  // where not all
  // What is desired inside the scope, as applied outside of it; empty, but named, where nothing is desired. It points
  // into the input where that needs no changes, into `own` else.
  const spec::Topology* desired = nullptr;
  std::shared_ptr<spec::Topology> own;
  [[nodiscard]] bool Has(const Address& address) const { return all || in.contains(address); }
};

// Targets bring what they depend on (one that is to be removed: what depends on it); excludes take away what depends on
// them (one that is to be removed: what it depends on, which has to stay for it). Errors: kNotFound for an unknown
// address.
Result<Scope> MakeScope(const spec::Topology* desired, const Applied& applied, const Options& options);

// What the topology is once the plan is carried out: as desired within the scope, as applied outside of it.
Result<spec::Topology> EffectiveTopology(const spec::Topology* desired, const Applied& applied, const Options& options);

}  // namespace nucleus::reconcile
