// Beside names.hpp: what is asked of few places about the names of links and tables of whatever project. Pure.
#pragma once

#include <string>
#include <string_view>

namespace nucleus {

bool IsVethLink(std::string_view link);  // as names.hpp makes them, like IsBridgeLink()

// What stands in the place of the project in FirewallTable() and FirewallComment() for a network: a container started
// by hand has a table of its own, which all networks of a topology share.
std::string TableProject(std::string_view project, std::string_view network);

}  // namespace nucleus
