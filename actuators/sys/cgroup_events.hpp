// What the kernel tells of a control group's processes: cgroup.events, memory.events. Reading only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "spec/core/error.hpp"

namespace nucleus::cgroup {

struct Events {
  bool populated = false;  // it or a group below has a process
  bool frozen = false;
};

// None where the group does not exist.
Result<std::optional<Events>> ReadEvents(const std::string& directory);

// How often a process in the group was killed for want of memory; none without the memory controller or the group.
Result<std::optional<std::uint64_t>> OomKills(const std::string& directory);

// The value of a key in a file of "key value" lines.
std::optional<std::uint64_t> FindKey(std::string_view text, std::string_view key);

}  // namespace nucleus::cgroup
