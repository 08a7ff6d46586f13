#include "cli/given_paths.hpp"

#include "actuators/mounts/sources.hpp"
#include "context/filter.hpp"
#include "spec/validate.hpp"

namespace nucleus::cli {

namespace {

class PathChecker {
 public:
  PathChecker(const spec::Topology& topology, const Directories& directories)
      : topology_(topology), directories_(directories) {}

  // Whether it may be written is its mounts' business.
  void Check(const spec::Volume& volume) {
    if (!volume.path.empty()) CheckPath(spec::PlaceOf(volume, "path"), "path", volume.path, true);
  }
  void Check(const spec::Service& service) {
    if (!service.rootfs.empty()) CheckPath(spec::PlaceOf(service, "rootfs"), "rootfs", service.rootfs, true);
    for (const auto& mount : service.volumes) {
      if (!mount.source.empty())
        CheckPath(spec::PlaceOfItem(service, "volumes", mount.destination), "volumes", mount.source, mount.read_only);
    }
    if (service.context.empty()) return;
    CheckPath(spec::PlaceOf(service, "context"), "context", service.context, true);
    CheckPatterns(service, "context_include", service.context_include);
    CheckPatterns(service, "context_exclude", service.context_exclude);
  }
  std::vector<spec::Problem> Take() { return std::move(problems_); }

 private:
  void CheckPath(spec::Place place, std::string_view key, const std::string& path, bool read_only) {
    if (const auto why = mounts::WhyDenied(path, read_only, directories_))
      Report(place, std::string(key) + ": '" + spec::Shown(path) + "' is given to nobody: " + *why);
  }
  void CheckPatterns(const spec::Service& service, std::string_view key, const std::vector<std::string>& patterns) {
    const auto made = context::ContextFilter::Make(patterns);
    if (made) return;
    Error error = made.error();
    error.trail.clear();
    const std::string hint = error.hint.empty() ? "" : "; " + error.hint;
    Report(spec::PlaceOf(service, key), std::string(key) + ": " + error.Message() + hint);
  }
  void Report(spec::Place place, std::string message) {
    problems_.push_back(ProblemAt(topology_, place, std::move(message)));
  }

  const spec::Topology& topology_;
  const Directories& directories_;
  std::vector<spec::Problem> problems_;
};

}  // namespace

spec::Problem ProblemAt(const spec::Topology& topology, spec::Place place, std::string message) {
  spec::Problem problem;
  problem.message = std::move(message);
  if (place.file >= topology.files.size() || place.line == 0) return problem;
  problem.file = topology.files[place.file];
  problem.line = place.line;
  problem.column = place.column;
  return problem;
}

std::vector<spec::Problem> CheckGivenPaths(const spec::Topology& topology, const Directories& directories) {
  PathChecker checker(topology, directories);
  for (const auto& [name, volume] : topology.volumes) checker.Check(volume);
  for (const auto& [name, service] : topology.services) checker.Check(service);
  return checker.Take();
}

}  // namespace nucleus::cli
