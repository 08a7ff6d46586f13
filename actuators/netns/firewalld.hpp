// What firewalld does with what is forwarded from bridges. Its table is nobody else's to change: decision 0025.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::netns {

// Those of the links whose packets it does not let through to wherever they go: they are in none of its zones, or in
// one that forwards nothing, and no policy of it accepts what comes from there. Links need not be there yet. None where
// it is not there, which costs microseconds; else libnftables lists its table. In the network namespace of the calling
// thread.
Result<std::vector<std::string>> ClosedByFirewalld(const std::vector<std::string>& links);

// The same of one link, by the listing of its table (libnftables-json(5)): rules are followed from its chain at the
// forward hook, those that ask for anything but where a packet comes from are passed over. Pure.
bool LetsForward(std::string_view listing, std::string_view link);

}  // namespace nucleus::netns
