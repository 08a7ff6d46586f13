// From the named files to one document: includes merged below, several files merged by address, aliases of keys
// resolved, defaults given to the services.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "spec/reader.hpp"
#include "spec/value.hpp"

namespace nucleus::spec {

// A table with the topology's keys, or nothing where no file could be read. Problems go to the reader.
std::optional<Value> Assemble(std::span<const std::string> paths, Reader& reader);
std::optional<Value> AssembleText(std::string_view text, const std::string& file_name, Reader& reader);

}  // namespace nucleus::spec
