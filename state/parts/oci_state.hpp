// The state of a container as the OCI runtime specification has it, runtime.md, "State".
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace nucleus {

struct OciState {
  std::string id;
  std::string_view status;  // creating, created, running, stopped; and runc's paused
  std::int32_t pid = 0;     // 0: none
  std::string bundle;       // its runtime directory
  std::map<std::string, std::string> annotations{};
};

// In one line.
std::string Encode(const OciState& state);

}  // namespace nucleus
