// How `nucleus verify` tells what it found: the lines of each container, as text and as JSON. Pure.
#pragma once

#include <string>
#include <vector>

#include "actuators/process/posture.hpp"
#include "cli/services.hpp"

namespace nucleus::cli {

struct Verified {
  ServiceRow row;
  std::vector<process::Check> checks;
};

struct VerifyCount {
  std::size_t differ = 0, unreadable = 0;
};
VerifyCount CountOf(const std::vector<process::Check>& checks);

// A line a container; below it what differs or is not readable, with `all` every line.
std::string VerifyText(const std::vector<Verified>& containers, bool all);
std::string VerifyJson(const std::vector<Verified>& containers);

}  // namespace nucleus::cli
