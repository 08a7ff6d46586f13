// The known name nearest to a misspelt one, for "did you mean".
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace nucleus {

// None where even the nearest is further off than a third of the name, or two typing errors. Ties go to the first.
std::optional<std::string_view> Nearest(std::string_view name, std::span<const std::string_view> known);

}  // namespace nucleus
