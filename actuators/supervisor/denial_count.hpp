// How many packets the egress rules of a network namespace have denied: one counter, asked for by a message made by
// hand, so that a supervisor need not have a library for it. Others ask by actuators/netns/denials.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace nucleus::process {

// network: path of the namespace. Needs CAP_SYS_ADMIN, and CAP_NET_ADMIN there. None: it has no egress rules, or would
// not say.
std::optional<std::uint64_t> DeniedPackets(const std::string& network);

}  // namespace nucleus::process
