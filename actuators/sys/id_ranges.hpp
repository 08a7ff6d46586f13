// Which ids there are: those of our own user namespace, and those that the machine lends to an ordinary user.
// user_namespaces(7), subuid(5). Errors: kSystem where a file cannot be read. Threads: any.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::sys {

struct IdMapLine {
  std::uint32_t inside = 0, outside = 0, count = 0;
  bool operator==(const IdMapLine&) const = default;
};

// Of the text of /proc/PID/uid_map. Lines that do not read are left out.
std::vector<IdMapLine> ParseIdMap(std::string_view text);
Result<std::vector<IdMapLine>> OwnUids();
Result<std::vector<IdMapLine>> OwnGids();
// Whether this is the machine's own user namespace: every id is there, and is itself.
bool IsWhole(const std::vector<IdMapLine>& map);

struct IdSpan {
  std::uint32_t first = 0, count = 0;
  bool operator==(const IdSpan&) const = default;
};
// The lines of /etc/subuid or /etc/subgid that begin with the user's name or number, in their order.
std::vector<IdSpan> ParseSubordinate(std::string_view text, std::string_view user, std::uint32_t uid);

// Those of everybody.
std::vector<IdSpan> ParseAllSubordinate(std::string_view text);

// Whether setgroups(2) is denied in our user namespace, so that supplementary groups stay what they are.
bool SetgroupsDenied();

}  // namespace nucleus::sys
