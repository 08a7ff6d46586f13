// What a container would be confined by, for `run --dry-run`: of the compiled launch itself, not of the options.
#pragma once

#include <string>

#include "actuators/security/user_map.hpp"
#include "spec/types.hpp"
#include "state/parts/launch.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::cli {

struct Preview {
  const Launch& launch;
  const spec::Service& service;
  Facts limits;              // of its control group
  NetnsWanted network;       // what its namespace is furnished with; only loopback where it has no networks
  std::string_view backend;  // of its bridge
  security::OwnIds own;      // ours, which it has where it has no user namespace of its own
};

std::string PreviewText(const Preview& preview);
std::string PreviewJson(const Preview& preview);

}  // namespace nucleus::cli
