// The kernel's listing of a table, as JSON by libnftables, turned into the shape of firewall_model.hpp. Pure.
#pragma once

#include <string_view>

#include "spec/core/error.hpp"
#include "state/parts/firewall_model.hpp"

namespace nucleus::netns {

// Without the table's comment, which older listings do not have. A statement that our rules never use appears as its
// JSON, and so as a difference. kCorrupt where it is not a listing at all.
Result<FirewallState> ParseListing(std::string_view json);

}  // namespace nucleus::netns
