// The JSON of commands that list: ps, history, show, validate, version. One document each, with format_version. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cli/services.hpp"
#include "spec/load.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

// One of them, without an end of line.
std::string ServiceJson(const ServiceRow& row);
std::string ServicesJson(const std::vector<ServiceRow>& rows);
// running: an apply of the project is under way.
std::string HistoryJson(std::string_view project, const std::vector<state::RevisionRow>& revisions, bool running);
std::string ProjectJson(const state::ProjectRow& project);
// order: the names of services as they would start; ok: whether the topology stands.
std::string ValidateJson(std::string_view name, bool ok, const std::vector<std::string>& order,
                         std::span<const spec::Problem> problems);
// What was done to whom.
struct Acted {
  std::string name;
  std::optional<int> exit_code = std::nullopt;  // -1: it is not known any more; none: not asked
};
std::string ActedJson(std::string_view type, const std::vector<Acted>& containers);
std::string VersionJson(std::string_view version);

// "applying" is only what is under way: the newest of them, while somebody runs.
std::string_view RevisionStateName(const state::RevisionRow& row, const std::vector<state::RevisionRow>& all,
                                   bool running);

}  // namespace nucleus::cli
