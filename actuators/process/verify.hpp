// Whether what runs in a service's or container's directory is confined as its launch file says. Reads only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actuators/process/posture.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"
#include "spec/core/process_identity.hpp"

namespace nucleus::process {

struct Verification {
  std::vector<Check> checks;
  ProcessIdentity workload;
};

// A line for everything that was asked of the workload; behind a mini-init also of that, as "init: ...". None: nothing
// runs there. What may not be read is in the lines as such; where the launch file may not, that is the only line.
// callers_files: its standard files are those of whoever called `run`.
Result<std::optional<Verification>> Verify(const std::string& directory, const Directories& directories,
                                           bool callers_files, MaskText capability_names);

}  // namespace nucleus::process
