// Rows of the store as the planner wants them.
#pragma once

#include "reconcile/plan.hpp"
#include "spec/core/error.hpp"
#include "state/store.hpp"

namespace nucleus::reconcile {

// kCorrupt where a row does not read back.
Result<Applied> ToApplied(const std::string& project, const std::optional<state::ProjectRow>& row);
// What the other projects hold.
Taken ToTaken(const state::HostLeases& leases, const std::string& project);

// The persistent volumes of the other projects: for Taken.
Result<std::vector<std::pair<std::string, std::string>>> VolumesOfOthers(state::Store& store,
                                                                         const std::string& project);

// Every published port, by service.
state::Store::Ports PortsOf(const spec::Topology& topology);
// The revision that a plan opens: its leases and every published port. desired: the whole of what is to be, see
// scope.hpp.
state::Store::NewRevision RevisionOf(const Plan& plan, const spec::Topology& desired, std::string summary);

}  // namespace nucleus::reconcile
