// A compiled list of mount operations as a tree: what must hold of it whatever it was compiled from. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "state/parts/launch.hpp"

namespace nucleus::mounts {

// An absolute path without empty, "." and ".." components and without a slash at its end (the root is "/").
// kInvalid for a relative path, for "..", and for control characters.
Result<std::string> NormalPath(std::string_view path);

std::string Parent(std::string_view path);     // "/a" -> "/"
std::string_view Name(std::string_view path);  // "/a/b" -> "b"
std::size_t Depth(std::string_view path);      // "/" -> 0, "/a/b" -> 2

bool IsMount(const MountOp& op);  // places a mount at its target

// Exactly one root and it is first; skeleton operations right behind it and only below an overlay; normal paths; no
// target mounted twice, none hidden by a mount above it that comes later; /proc, /sys and /dev are mounted;
// nothing behind kSealRoot.
Result<> ValidateTree(std::span<const MountOp> ops);

}  // namespace nucleus::mounts
