// Where normal absolute paths lie to each other, by their text: nothing is looked up.
#pragma once

#include <string_view>

namespace nucleus {

// "/a/b" is at or below "/a" and "/", and beside "/a/bc".
constexpr bool IsAtOrBelow(std::string_view path, std::string_view top) {
  return top == "/" || (path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/'));
}

// Whether one holds the other, or is it.
constexpr bool Nested(std::string_view one, std::string_view other) {
  return IsAtOrBelow(one, other) || IsAtOrBelow(other, one);
}

}  // namespace nucleus
