// An old specification meets today's files.
//
// Of the files that a service mounts read-only, and of its rootfs, a specification has digests; the contents are not
// kept. Who applies it again gets what the files hold now.
#pragma once

#include <string>
#include <vector>

#include "spec/load.hpp"

namespace nucleus::spec {

// Makes the digests those of the files as they are; a line for people for each that is another. What cannot be read
// stays as it was: starting the service will say why.
std::vector<std::string> TakeContentsAsTheyAre(Topology& topology, const Outside& outside);

}  // namespace nucleus::spec
