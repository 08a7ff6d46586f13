// What runs, compared with what was asked when it was started. Links what looks and nothing else.
#include <unistd.h>

#include <algorithm>
#include <map>
#include <set>

#include "actuators/process/verify.hpp"
#include "actuators/security/security_names.hpp"
#include "actuators/sys/process.hpp"
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

std::string KeyOf(const ServiceRow& row) {
  return row.project + "/" + row.address.Text();
}

// What somebody has named, and the services that are meant by it.
struct Named {
  std::string name;
  std::set<std::string> keys{};
  bool is_project = false;
};

Result<std::vector<Named>> LookUp(const std::vector<ServiceRow>& rows, const std::vector<std::string>& projects,
                                  const std::vector<std::string>& names) {
  std::vector<Named> all;
  for (const std::string& name : names) {
    Named named{.name = name, .is_project = std::ranges::find(projects, name) != projects.end()};
    if (named.is_project) {
      for (const ServiceRow& row : rows)
        if (row.project == name) named.keys.insert(KeyOf(row));
    } else {
      const ServiceRow row = TRY(FindService(rows, name));
      named.name = row.Name();
      named.keys.insert(KeyOf(row));
    }
    all.push_back(std::move(named));
  }
  return all;
}

// None named: all.
std::vector<ServiceRow> Chosen(std::vector<ServiceRow> rows, const std::vector<Named>& all) {
  std::erase_if(rows, [&](const ServiceRow& row) {
    return !all.empty() && std::ranges::none_of(all, [&](const Named& one) { return one.keys.contains(KeyOf(row)); });
  });
  return rows;
}

// Of a project whose jobs have completed, say, some run: those that do are what is meant. False: it was told of one of
// which nothing was there to be looked at.
bool AllWereLookedAt(Context& context, const std::vector<Named>& all, const std::vector<Verified>& containers) {
  bool good = true;
  for (const Named& one : all) {
    if (std::ranges::any_of(containers, [&](const Verified& its) { return one.keys.contains(KeyOf(its.row)); }))
      continue;
    const bool of_many = one.is_project && one.keys.size() != 1;
    context.console.Fail("verify", Error::Of(ErrorCode::kNotFound, "", one.name,
                                             of_many ? "nothing of it is running" : "is not running"));
    good = false;
  }
  return good;
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
  const bool may_more_be_read = all.unreadable != 0 && ::geteuid() != 0;
  context.console.Fail("verify", may_more_be_read ? std::move(error).Hint("run it as root") : error);
  return exit_code::kError;
}

// One that was looked at, and which process that was.
struct LookedAt {
  Verified verified;
  ProcessIdentity workload{};  // none: it could not be looked at
};

std::vector<LookedAt> VerifyEach(Context& context, const std::vector<ServiceRow>& rows,
                                 const Directories& directories) {
  std::vector<LookedAt> all;
  for (const ServiceRow& row : rows) {
    if (row.state == "?") {
      all.push_back({.verified = {row, {{"status", "as recorded", "?", Verdict::kUnreadable}}}});
      continue;
    }
    auto looked = process::Verify(directories.ServiceDir(row.project, row.address), directories,
                                  row.address.kind == Kind::kContainer, CapabilityText);
    if (!looked && looked.error().code == ErrorCode::kNotFound) continue;  // it ended while we looked
    if (!looked) {
      context.console.Fail("verify", std::move(looked).error().In(row.Name()));
      all.push_back({.verified = {row, {{"launch", "as recorded", "?", Verdict::kUnreadable}}}});
      continue;
    }
    if (*looked) all.push_back({{row, std::move((*looked)->checks)}, std::move((*looked)->workload)});
  }
  return all;
}

// Of those that live still: then what was seen of them in between is theirs.
Result<std::vector<Verified>> WithLimits(std::vector<LookedAt> all, state::Store& store,
                                         const Directories& directories) {
  const Probers probers(directories);
  std::map<std::string, Limits> limits;
  for (LookedAt& seen : all) {
    const std::string& project = seen.verified.row.project;
    if (seen.workload.pid == 0) continue;
    if (!limits.contains(project)) limits.emplace(project, TRY(LimitsOf(store, directories, probers, project)));
    const auto& of_project = limits.at(project);
    const auto its = of_project.find({project, seen.verified.row.address, Part::kCgroup});
    auto& checks = seen.verified.checks;
    if (its != of_project.end()) checks.insert(checks.end(), its->second.begin(), its->second.end());
  }
  std::vector<Verified> living;
  for (LookedAt& seen : all)
    if (seen.workload.pid == 0 || TRY(sys::IsAlive(seen.workload))) living.push_back(std::move(seen.verified));
  return living;
}

}  // namespace

Result<int> RunVerify(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  const auto rows = TRY(ListServices(store, directories, ""));
  const auto projects = TRY(store.Projects());
  const auto named = TRY(LookUp(rows, projects, context.arguments.operands()));
  const auto chosen = Chosen(rows, named);
  const auto containers = TRY(WithLimits(VerifyEach(context, chosen, directories), store, directories));
  if (context.arguments.Value("output") == "json") {
    context.console.Out(VerifyJson(containers));
  } else if (containers.empty() && named.empty()) {
    context.console.Out("nothing is running\n");
  } else {
    context.console.Out(VerifyText(containers, context.arguments.Has("all") || context.arguments.Has("verbose")));
  }
  const bool all = AllWereLookedAt(context, named, containers);
  const int told = Tell(context, containers);
  return all ? told : exit_code::kError;
}

}  // namespace nucleus::cli
