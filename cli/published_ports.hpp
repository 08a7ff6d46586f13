// Ports of the machine that a plan is to publish: looked for before anything is changed.
#pragma once

#include "cli/session.hpp"

namespace nucleus::cli {

// desired: what there is once the plan is carried out; null where nothing is to be there.
// kConflict, with who holds it and the place in the file, where a port that is to be published and was not before is
// taken; kUnsupported where an ordinary user's ports cannot be told apart.
Result<> CheckPublishedPorts(const World& world, const spec::Topology* desired);

}  // namespace nucleus::cli
