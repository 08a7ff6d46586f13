// What inspect tells of one service, container, network or volume: what it is by the kernel's names, and what is seen
// of it. The text is the JSON, one line a value. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "cli/services.hpp"
#include "state/parts/network_order.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::cli {

struct Inspected {
  std::string project;
  Address address;
  std::optional<ServiceRow> row;  // of services and containers
  // Of the project: what was applied.
  std::map<PartKey, Wanted> parts;
  Observations seen;
  NetworkState machine = {};  // the way out of an ordinary user's
};

std::string InspectJson(const Inspected& what);
std::string InspectText(const Inspected& what);

}  // namespace nucleus::cli
