// What containers use, as stats tells it: a table for people, or JSON. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "actuators/cgroup/usage.hpp"

namespace nucleus::cli {

struct Sample {
  std::string name, id;
  std::int64_t time_ms = 0, started_ms = 0;  // Unix time
  cgroup::Usage usage;
  bool host_network = false;  // what the links have passed is the machine's
  std::optional<cgroup::Links> links;
};

// Of one processor, in thousandths; since `before`, else since it was started.
std::optional<std::uint64_t> CpuShare(const Sample& now, const Sample* before);

// before: an earlier look at the same containers; may lack some.
std::string UsageText(const std::vector<Sample>& samples, const std::vector<Sample>& before);
std::string UsageJson(const std::vector<Sample>& samples, const std::vector<Sample>& before);
std::string UsageLines(const std::vector<Sample>& samples, const std::vector<Sample>& before);  // an object a line

// The controllers that no sample has anything of: "memory, io".
std::string MissingControllers(const std::vector<Sample>& samples);

}  // namespace nucleus::cli
