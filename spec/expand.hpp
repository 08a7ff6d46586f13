// Variables in strings.
#pragma once

#include <string>
#include <string_view>

#include "spec/load.hpp"

namespace nucleus::spec {

// Puts the values of variables into a string: ${VAR}, ${VAR:-default}, ${VAR:?message}, and $$ for a dollar sign. A
// default may hold variables again. Any other dollar sign stays as it is. An error has the cause only.
Result<std::string> ExpandVariables(std::string_view text, const Outside& outside);

}  // namespace nucleus::spec
