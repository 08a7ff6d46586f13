// What a project's table of family bridge says of ports that are gone: state/parts/spoof_model.hpp.
//
// By netlink alone, in microseconds where there is nothing to do. In the network namespace of the calling thread, under
// the lock of the host.
#pragma once

#include <string>

#include "spec/core/error.hpp"

namespace nucleus::netns {

// Takes away every element of ports that are marked as leaving and whose links are there no more. Whoever removes a
// link calls it after that, and whoever marks one after that: the link may have gone meanwhile.
Result<> ForgetGonePorts(const std::string& table);
// Whether any are marked so. Needs no lock: whoever marks one looks after it has.
Result<bool> HasLeavingPorts(const std::string& table);

}  // namespace nucleus::netns
