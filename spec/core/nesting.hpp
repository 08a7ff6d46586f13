// How deeply JSON is nested, before a parser that would build every level of it has a look. Linear; allocates nothing.
#pragma once

#include <cstddef>
#include <string_view>

namespace nucleus {

// More than any document has that we write or ask for.
inline constexpr std::size_t kMaxNesting = 64;

inline bool IsNestedTooDeeply(std::string_view json) {
  std::size_t depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxNesting) return true;
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return false;
}

}  // namespace nucleus
