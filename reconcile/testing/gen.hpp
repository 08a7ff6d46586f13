// Small topologies at random: few names and few values, so that two of them differ here and there and collide often.
#pragma once

#include <rapidcheck.h>

#include "spec/types.hpp"

namespace nucleus::reconcile::testing {

// Valid: dependencies are acyclic and name services that are there, `completed` is asked of jobs alone, `healthy` of
// services with a check, ports are published once, protected resources are none.
rc::Gen<spec::Topology> AnyTopology(const std::string& project);

}  // namespace nucleus::reconcile::testing
