// From files to a Topology, and back.
//
// All problems are found in one go; each has its place. A file that cannot be read is a problem as well.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/types.hpp"

namespace nucleus::spec {

struct Problem {
  std::string file;  // "" where the problem is of the whole
  std::uint32_t line = 0;
  std::uint32_t column = 0;
  std::string message;
  bool warning = false;

  // "shop.toml:14:3: unknown key 'memroy', did you mean 'memory'?"
  [[nodiscard]] std::string Text() const;
};

// The world outside the text, so that parsing is pure and can be tested and fuzzed: reading of files, the environment
// for ${VAR}, the kind of a path. Real() is the machine.
struct Outside {
  std::function<Result<std::string>(const std::string& path)> read_file;
  std::function<std::optional<std::string>(const std::string& name)> variable;
  enum class PathKind { kAbsent, kFile, kDirectory, kOther };
  std::function<PathKind(const std::string& path)> path_kind;
  std::function<std::vector<Ipv4Net>()> host_routes;  // subnets the host reaches already, not over links of ours
  std::function<Result<std::vector<std::string>>(const std::string& path)> list_directory;  // names, in any order
  std::function<std::uint64_t(const std::string& path)> file_size;  // of a regular file; 0 where it is not known
  std::string working_directory = "/";                              // what a relative name of a file is relative to

  static Outside Real();
};

struct Loaded {
  std::optional<Topology> topology;  // none where there are errors
  std::vector<Problem> problems;     // errors and warnings, in the order of files and lines
  [[nodiscard]] bool ok() const { return topology.has_value(); }
};

// A name that can be read once only, by reading on from where its descriptor stands: "-" is standard input, /dev/fd/N
// what shells put in the place of <(command). read_file() takes it as it is.
bool IsStream(std::string_view path);

// paths: files, streams, or directories, whose *.toml are taken in name order.
// Relative paths inside a file are relative to that file. Merged by address; a clash is a problem. [defaults] of any
// of them hold for all services.
Loaded Load(std::span<const std::string> paths, const Outside& outside);
// Which topology the files are about: its name and its files, no resources. Whatever resources point at (root file
// systems, env files, policies) is not looked at, so it may be gone; includes and required variables are still needed.
Loaded LoadName(std::span<const std::string> paths, const Outside& outside);
// Load() for text in hand.
Loaded LoadText(std::string_view text, const std::string& file_name, const Outside& outside);

// The canonical JSON of a topology: every field that is not its default, keys sorted, no places.
// FromJson(ToJson(t)) equals t but for places. FromJson trusts nothing: a wrong document is kCorrupt, and so is one
// with names that lead nowhere or services that wait for each other.
std::string ToJson(const Topology& topology);
Result<Topology> FromJson(std::string_view text);
// The same for one resource, for the rows of the store.
std::string ToJson(const Network& network);
std::string ToJson(const Volume& volume);
std::string ToJson(const Service& service);
Result<Network> NetworkFromJson(std::string_view text);
Result<Volume> VolumeFromJson(std::string_view text);
Result<Service> ServiceFromJson(std::string_view text);

// The order of start, services only; cycles were refused by Load.
std::vector<std::string> StartOrder(const Topology& topology);

// JSON Schema, draft 4, of the file.
std::string JsonSchema();

}  // namespace nucleus::spec
