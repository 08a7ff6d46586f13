// Programs of the machine that nucleus runs with its own rights: hooks, and those that help with networks.
#pragma once

#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus::sys {

// Whether a regular file that can be executed is at the absolute path, and nobody but root could have put it, or
// another one, there: the file, the directories and the links on the way belong to root, and no one else may write to
// them; in a directory with the sticky bit, inode(7), nobody replaces what is root's. In a user namespace of an
// ordinary user its root is that user, and the machine's root is nobody (IsNobodyUnmapped). kNotFound, kPermission.
Result<> CheckTrusted(const std::string& path);

// Whether who has no id in our user namespace is shown as 65534: not so where that is that user himself, as on the
// machine. uid_map: /proc/self/uid_map, user_namespaces(7).
bool IsNobodyUnmapped(std::string_view uid_map);

}  // namespace nucleus::sys
