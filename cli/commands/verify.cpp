// What runs, compared with what was asked when it was started. Links what looks and nothing else.
#include <algorithm>
#include <set>

#include "actuators/process/verify.hpp"
#include "actuators/security/security_names.hpp"
#include "cli/posture_report.hpp"
#include "cli/services.hpp"
#include "cli/session.hpp"
#include "reconcile/observe.hpp"

namespace nucleus::cli {

namespace {

using process::Check;
using process::Verdict;
using Limits = std::map<PartKey, std::vector<Check>>;  // by the key of the control group

std::string CapabilityText(std::uint64_t mask) {
  std::string text;
  for (const auto& name : security::CapabilityNames(mask)) text += (text.empty() ? "" : " ") + name;
  return text.empty() ? "none" : text;
}

// Those that are named, each once; none named: all.
Result<std::vector<ServiceRow>> Chosen(const std::vector<ServiceRow>& rows, const std::vector<std::string>& projects,
                                       const std::vector<std::string>& names) {
  if (names.empty()) return rows;
  std::vector<ServiceRow> chosen;
  std::set<std::string> taken;
  const auto take = [&](const ServiceRow& row) {
    if (taken.insert(row.project + "/" + row.address.Text()).second) chosen.push_back(row);
  };
  for (const std::string& name : names) {
    if (std::ranges::find(projects, name) != projects.end()) {
      for (const ServiceRow& row : rows)
        if (row.project == name) take(row);
      continue;
    }
    const ServiceRow row = TRY(FindService(rows, name));
    if (row.pid == 0) return Fail(ErrorCode::kNotFound, "", row.Name(), "is not running");
    take(row);
  }
  return chosen;
}

std::vector<Check> CompareLimits(const Observation& seen, const Facts& asked) {
  std::vector<Check> checks;
  if (seen.presence == Presence::kUnreadable) {
    checks.push_back({"cgroup limits", "as applied", "?", Verdict::kUnreadable});
    return checks;
  }
  const auto value = [](const Facts& facts, const std::string& name, std::string_view none) {
    const auto found = facts.find(name);
    return found == facts.end() ? std::string(none) : found->second;
  };
  Facts all = asked;
  all.merge(seen.facts);
  for (const auto& [name, text] : all) {
    const std::string want = value(asked, name, "as in a new group");
    const std::string have = value(seen.facts, name, "missing");
    checks.push_back({"cgroup " + name, want, have, want == have ? Verdict::kOk : Verdict::kDiffers});
  }
  return checks;
}

// Of those started by hand nobody has written down what was asked.
std::vector<Check> ShowLimits(const Observation& seen) {
  std::vector<Check> checks;
  for (const auto& [name, text] : seen.facts)
    if (name != "owner") checks.push_back({"cgroup " + name, "not recorded", text, Verdict::kUnseen});
  return checks;
}

Result<Limits> LimitsOf(state::Store& store, const Directories& directories, const Probers& probers,
                        const std::string& project) {
  std::map<Part, Prober*> cgroups = probers.by_part();
  std::erase_if(cgroups, [](const auto& entry) { return entry.first != Part::kCgroup; });
  std::map<PartKey, Wanted> wanted;
  if (project != kContainersProject) {
    const World world = TRY(LoadWorld(store, project));
    const spec::Topology listed = TRY(AppliedAndBegun(store, directories, world));
    reconcile::Options options;
    options.directories = directories;
    const Host host = TRY(LookAtHost(""));
    wanted = TRY(reconcile::WantedParts(&listed, world.applied, host, world.taken, options));
    std::erase_if(wanted, [](const auto& entry) { return entry.first.part != Part::kCgroup; });
  }
  Limits limits;
  for (const auto& [key, seen] : TRY(reconcile::Observe(project, wanted, cgroups))) {
    const auto asked = wanted.find(key);
    limits.emplace(key, asked == wanted.end() ? ShowLimits(seen) : CompareLimits(seen, ExpectedFacts(asked->second)));
  }
  return limits;
}

int Tell(Context& context, const std::vector<Verified>& containers) {
  VerifyCount all;
  std::size_t with_differences = 0;
  for (const Verified& container : containers) {
    const VerifyCount count = CountOf(container.checks);
    all.differ += count.differ;
    all.unreadable += count.unreadable;
    with_differences += count.differ != 0 ? 1 : 0;
  }
  if (all.differ == 0 && all.unreadable == 0) return exit_code::kDone;
  std::string words;
  if (all.differ != 0)
    words = std::to_string(all.differ) + (all.differ == 1 ? " difference in " : " differences in ") +
            std::to_string(with_differences) + " of " + std::to_string(containers.size()) +
            (containers.size() == 1 ? " container" : " containers");
  if (all.unreadable != 0)
    words += (words.empty() ? "" : "; ") + std::to_string(all.unreadable) + (all.unreadable == 1 ? " line" : " lines") +
             " could not be read";
  auto error = Error::Of(ErrorCode::kConflict, "", "", words);
  context.console.Fail("verify", all.unreadable == 0 ? error : std::move(error).Hint("run it as root"));
  return exit_code::kError;
}

}  // namespace

Result<int> RunVerify(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  const auto rows = TRY(ListServices(store, directories, ""));
  const auto projects = TRY(store.Projects());
  const auto chosen = TRY(Chosen(rows, projects, context.arguments.operands()));
  const Probers probers(directories);
  std::map<std::string, Limits> limits;
  std::vector<Verified> containers;
  for (const ServiceRow& row : chosen) {
    if (row.state == "?") {
      containers.push_back({row, {{"status", "as recorded", "?", Verdict::kUnreadable}}});
      continue;
    }
    auto verified = process::Verify(directories.ServiceDir(row.project, row.address), directories,
                                    row.address.kind == Kind::kContainer, CapabilityText);
    if (!verified && verified.error().code == ErrorCode::kNotFound) continue;  // it ended while we looked
    if (!verified) {
      context.console.Fail("verify", std::move(verified).error().In(row.Name()));
      containers.push_back({row, {{"launch", "as recorded", "?", Verdict::kUnreadable}}});
      continue;
    }
    auto& checks = *verified;
    if (!checks) continue;  // nothing runs
    if (!limits.contains(row.project))
      limits.emplace(row.project, TRY(LimitsOf(store, directories, probers, row.project)));
    const auto& of_project = limits.at(row.project);
    if (const auto its = of_project.find({row.project, row.address, Part::kCgroup}); its != of_project.end())
      checks->insert(checks->end(), its->second.begin(), its->second.end());
    containers.push_back({row, std::move(*checks)});
  }
  if (context.arguments.Value("output") == "json") {
    context.console.Out(VerifyJson(containers));
  } else if (containers.empty()) {
    context.console.Out("nothing is running\n");
  } else {
    context.console.Out(VerifyText(containers, context.arguments.Has("all") || context.arguments.Has("verbose")));
  }
  return Tell(context, containers);
}

}  // namespace nucleus::cli
