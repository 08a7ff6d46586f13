#include "spec/load.hpp"

#include "spec/assemble.hpp"
#include "spec/inputs.hpp"
#include "spec/read.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

Loaded Finish(const std::optional<Value>& document, Reader& reader) {
  Loaded loaded;
  if (document) {
    Topology topology = ReadTopology(*document, reader);
    ReadInputs(topology, reader);
    Validate(topology, reader);
    if (!reader.failed()) loaded.topology = std::move(topology);
  }
  loaded.problems = reader.TakeProblems();
  return loaded;
}

}  // namespace

Loaded Load(std::span<const std::string> paths, const Outside& outside) {
  Reader reader(outside);
  return Finish(Assemble(paths, reader), reader);
}

Loaded LoadName(std::span<const std::string> paths, const Outside& outside) {
  Reader reader(outside);
  Loaded loaded;
  if (const auto document = Assemble(paths, reader)) {
    Topology topology = ReadTopologyName(*document, reader);
    if (!reader.failed()) loaded.topology = std::move(topology);
  }
  loaded.problems = reader.TakeProblems();
  return loaded;
}

Loaded LoadText(std::string_view text, const std::string& file_name, const Outside& outside) {
  Reader reader(outside);
  return Finish(AssembleText(text, file_name, reader), reader);
}

}  // namespace nucleus::spec
