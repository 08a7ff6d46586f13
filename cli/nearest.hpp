// The known word nearest to a misspelt one.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace nucleus::cli {

// As nucleus::Nearest() finds it, in either case of letters; else the first that begins with the misspelt one.
std::optional<std::string_view> Nearest(std::string_view misspelt, std::span<const std::string_view> known);

}  // namespace nucleus::cli
