// A world in memory for the tests of this folder: files, variables and routes, and what the reader says of a text.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "spec/keys.hpp"
#include "spec/load.hpp"

namespace nucleus::spec::testing {

class Files {
 public:
  std::map<std::string, std::string> files;  // absolute path -> contents
  std::map<std::string, std::string> variables;
  std::vector<Ipv4Net> routes;

  // Paths are files where there is one, directories where a file is below them, and below /srv, which is there always.
  // Of this object, which must outlive it.
  [[nodiscard]] Outside outside() const {
    Outside outside;
    outside.read_file = [this](const std::string& path) -> Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return FailSys("read", path, ENOENT);
      return found->second;
    };
    outside.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
    outside.path_kind = [this](const std::string& path) {
      if (files.contains(path)) return Outside::PathKind::kFile;
      const auto below = files.lower_bound(path + "/");
      const bool directory = below != files.end() && below->first.starts_with(path + "/");
      return directory || path.starts_with("/srv/") ? Outside::PathKind::kDirectory : Outside::PathKind::kAbsent;
    };
    outside.host_routes = [this] { return routes; };
    outside.list_directory = [this](const std::string& path) -> Result<std::vector<std::string>> {
      std::vector<std::string> names;
      for (const auto& [name, text] : files) {
        if (name.starts_with(path + "/")) names.push_back(name.substr(path.size() + 1));
      }
      std::ranges::reverse(names);  // in no order that anybody may rely on
      return names;
    };
    outside.working_directory = "/w";
    return outside;
  }

  [[nodiscard]] Loaded Load(std::string_view text) const { return LoadText(text, "shop.toml", outside()); }

  // Every problem in a line of its own.
  [[nodiscard]] std::string Problems(std::string_view text) const { return Lines(Load(text)); }

  static std::string Lines(const Loaded& loaded) {
    std::string all;
    for (const auto& problem : loaded.problems) all += problem.Text() + "\n";
    return all;
  }
};

// A topology with one service in agent mode, `lines` being its keys; the first of them is line 6 of shop.toml.
inline std::string Service(std::string_view lines) {
  return "name = 'shop'\n[networks.n]\n[volumes.v]\npath = '/srv/v'\n[services.a]\n" + std::string(lines) +
         "\nservice_mode = 'agent'\n" + (lines.find("command =") == std::string_view::npos ? "command = ['x']\n" : "");
}

// The canonical value of a field of that service: "" where it has its default, the problems where there are any.
inline std::string FieldOf(const Files& files, std::string_view lines, std::string_view field) {
  const auto loaded = files.Load(Service(lines));
  if (!loaded.ok()) return Files::Lines(loaded);
  for (const auto& [name, value] : CanonicalFields(loaded.topology->services.at("a"))) {
    if (name == field) return value;
  }
  return "";
}

}  // namespace nucleus::spec::testing
