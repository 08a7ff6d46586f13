// How many packets the egress rules of a network namespace have denied: the counter alone, by netlink, which costs
// microseconds. state/parts/egress_model.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::netns {

// In the network namespace of the calling thread. Needs CAP_NET_ADMIN there. None: it has no egress rules.
Result<std::optional<std::uint64_t>> DeniedHere();
Result<std::optional<std::uint64_t>> DeniedIn(const sys::Fd& network);

// Of many, by the paths of their namespaces, in order. None too where it could not be read.
std::vector<std::optional<std::uint64_t>> DeniedIn(const std::vector<std::string>& paths);

}  // namespace nucleus::netns
