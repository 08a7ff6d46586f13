// TOML text to a Value, with ${VAR} put in. Problems go to the reader; what can be read is returned nevertheless.
#pragma once

#include <string_view>

#include "spec/reader.hpp"

namespace nucleus::spec {

// file: index into reader.files(). Nothing is returned for text that is not TOML.
std::optional<Value> ParseToml(std::string_view text, std::uint32_t file, Reader& reader);

// Puts the values of variables into a string: ${VAR}, ${VAR:-default}, ${VAR:?message}, and $$ for a dollar sign.
// Any other dollar sign stays as it is. An error has the cause only.
Result<std::string> ExpandVariables(std::string_view text, const Outside& outside);

}  // namespace nucleus::spec
