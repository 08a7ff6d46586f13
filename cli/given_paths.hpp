// What services are given of the machine: whether it may be given at all, and what of it. Asked when the desired state
// is read, so that a refusal comes before anything is made; the mounts themselves are looked at again when a container
// is compiled. Reads nothing.
#pragma once

#include <vector>

#include "spec/core/names.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

std::vector<spec::Problem> CheckGivenPaths(const spec::Topology& topology, const Directories& directories);

// A problem at a place of a topology's files; without one where it was read from none.
spec::Problem ProblemAt(const spec::Topology& topology, spec::Place place, std::string message);

}  // namespace nucleus::cli
