// What is mounted in a context: what hides files of a bound one, and where other mounts may stand.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "actuators/mounts/compile.hpp"

namespace nucleus::mounts {

inline constexpr std::string_view kContextTarget = "/context";

// What of a bound context is not to be seen. declared: targets of other mounts in it, which are no part of it.
// kInvalid: one of them is below what is hidden.
Result<std::vector<MountOp>> ContextMasks(const MountsInput& input, const std::vector<std::string>& declared);

// Whether a mount can stand in a bound context: not below a directory that the patterns hide, by which it would be
// hidden too. Looks at nothing but the patterns.
Result<> CheckPointInBound(const spec::Service& service, const std::string& target);

// Whether a mount can stand in the copy of a context: whoever makes the copy makes the point, where the context has
// nothing else at that place or above it.
Result<> CheckPointInCopy(const spec::Service& service, const std::string& target, bool file);

}  // namespace nucleus::mounts
