// TOML text to a Value, with ${VAR} put in. Problems go to the reader; what can be read is returned nevertheless.
#pragma once

#include <string_view>

#include "spec/reader.hpp"

namespace nucleus::spec {

// file: index into reader.files(). Nothing is returned for text that is not TOML.
std::optional<Value> ParseToml(std::string_view text, std::uint32_t file, Reader& reader);

}  // namespace nucleus::spec
