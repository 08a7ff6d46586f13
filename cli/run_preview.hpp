// What a container would be confined by, for `run --dry-run`: of the compiled launch itself, not of the options.
#pragma once

#include <string>

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
};

std::string PreviewText(const Preview& preview);
std::string PreviewJson(const Preview& preview);

}  // namespace nucleus::cli
