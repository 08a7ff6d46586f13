// Any text as a file, in a world that is a function of the text alone: the reader answers or says why not, each problem
// of a file has a place, and what it accepts has a canonical form that reads back.
#include <cstdlib>

#include "spec/keys.hpp"
#include "spec/load.hpp"

namespace {

using nucleus::spec::Outside;

// Files are *.toml, *.env and *.conf, all of them the text itself; what has "none" in its name is absent.
Outside WorldOf(std::string_view text) {
  Outside outside;
  outside.read_file = [text](const std::string& path) -> nucleus::Result<std::string> {
    if (path.find("none") != std::string::npos) return nucleus::FailSys("read", path, ENOENT);
    return std::string(text);
  };
  outside.variable = [](const std::string& name) -> std::optional<std::string> {
    if (name.starts_with("N")) return std::nullopt;
    return name.starts_with("E") ? "" : name;
  };
  outside.path_kind = [](const std::string& path) {
    if (path.find("none") != std::string::npos) return Outside::PathKind::kAbsent;
    const bool file = path.ends_with(".toml") || path.ends_with(".env") || path.ends_with(".conf");
    return file ? Outside::PathKind::kFile : Outside::PathKind::kDirectory;
  };
  outside.host_routes = [] { return std::vector<nucleus::spec::Ipv4Net>{{{0xc0a80000}, 16}}; };
  outside.list_directory = [](const std::string&) -> nucleus::Result<std::vector<std::string>> {
    return std::vector<std::string>{"a.toml", "b"};
  };
  outside.working_directory = "/w";
  return outside;
}

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::spec;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const Outside outside = WorldOf(text);
  const Loaded loaded = LoadText(text, "fuzz.toml", outside);
  Require(loaded.ok() || !loaded.problems.empty());
  for (const auto& problem : loaded.problems) {
    Require(!problem.Text().empty() && !problem.message.empty());
    Require(problem.file.empty() || (problem.line > 0 && problem.column > 0));
  }
  if (!loaded.ok()) return 0;
  const std::string json = ToJson(*loaded.topology);
  const auto back = FromJson(json);
  Require(back.has_value() && ToJson(*back) == json);
  for (const auto& [name, service] : loaded.topology->services) {
    Require(CanonicalFields(back->services.at(name)) == CanonicalFields(service));
  }
  Require(StartOrder(*loaded.topology).size() == loaded.topology->services.size());
  return 0;
}
