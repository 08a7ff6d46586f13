#include "cli/session.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "actuators/sys/file.hpp"
#include "cli/given_paths.hpp"
#include "cli/machine_checks.hpp"
#include "cli/nearest.hpp"
#include "cli/policies.hpp"
#include "cli/start_checks.hpp"
#include "cli/users_machine.hpp"
#include "reconcile/applied.hpp"
#include "reconcile/diff.hpp"
#include "reconcile/explain.hpp"
#include "reconcile/observe.hpp"
#include "reconcile/plan_json.hpp"
#include "reconcile/saved_plan.hpp"
#include "spec/core/text.hpp"
#include "spec/flags.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

std::string DidYouMean(std::string_view misspelt, const std::vector<std::string>& known) {
  const std::vector<std::string_view> views(known.begin(), known.end());
  const auto nearest = Nearest(misspelt, views);
  return nearest ? "did you mean '" + std::string(*nearest) + "'?" : "";
}

std::vector<std::string> AddressesOf(const spec::Topology& topology) {
  std::vector<std::string> out;
  for (const auto& [name, network] : topology.networks) out.push_back("network." + name);
  for (const auto& [name, volume] : topology.volumes) out.push_back("volume." + name);
  for (const auto& [name, service] : topology.services) out.push_back("service." + name);
  return out;
}

Result<std::set<Address>> AddressSet(const Arguments& arguments, std::string_view option) {
  std::set<Address> out;
  for (const std::string& text : arguments.Values(option)) out.insert(TRY(Address::Parse(text)));
  return out;
}

// --rerun and --replace take addresses of services and keep their names.
Result<std::set<std::string>> ServiceSet(const Arguments& arguments, std::string_view option) {
  std::set<std::string> out;
  for (const Address& address : TRY(AddressSet(arguments, option))) {
    if (address.kind != Kind::kService) {
      return Fail(ErrorCode::kInvalid, "", "--" + std::string(option), address.Text() + " is not a service");
    }
    out.insert(address.name);
  }
  return out;
}

}  // namespace

OutputForm OutputFormOf(const Arguments& arguments) {
  const std::string value = arguments.Value("output");
  if (value == "json") return OutputForm::kJson;
  return value == "jsonl" ? OutputForm::kJsonLines : OutputForm::kText;
}

int UsageFault(Context& context, std::string_view message, std::string_view hint) {
  const std::string_view name = context.arguments.command().name;
  const std::string fallback = "see `nucleus help " + std::string(name) + "`";
  context.console.Fail(name, Error::Of(ErrorCode::kInvalid, "", "", message).Hint(hint.empty() ? fallback : hint));
  return exit_code::kUsage;
}

Result<Directories> DirectoriesOf(const Arguments& arguments) {
  return Directories::Resolve(arguments.Value("state-dir"), arguments.Value("runtime-dir"));
}

Result<state::Store> OpenToRead(const Arguments& arguments) {
  const Directories directories = TRY(DirectoriesOf(arguments));
  return state::Store::Open(directories, state::Store::Access::kRead);
}

void AddProblems(const Arguments& arguments, const Result<Directories>& directories, spec::Loaded& loaded) {
  if (!loaded.ok()) return;
  const auto& topology = *loaded.topology;
  const auto add = [&](std::vector<spec::Problem> problems) {
    std::ranges::move(problems, std::back_inserter(loaded.problems));
  };
  add(CheckPolicies(topology));
  if (directories) add(CheckGivenPaths(topology, *directories));
  // What is validated may be meant for another machine, and is started by no plan.
  if (arguments.command().name != "validate") {
    add(CheckMachine(topology));
  } else if (directories && std::ranges::all_of(loaded.problems, &spec::Problem::warning)) {
    add(CheckStarts(topology, *directories));
  }
  // What was read from no file was given as options.
  if (topology.files.empty()) std::ranges::for_each(loaded.problems, spec::SayAsFlags);
}

Result<spec::Topology> TellProblems(Context& context, spec::Loaded loaded) {
  return TellProblems(context, std::move(loaded), DirectoriesOf(context.arguments));
}

Result<spec::Topology> TellProblems(Context& context, spec::Loaded loaded, const Result<Directories>& directories) {
  AddProblems(context.arguments, directories, loaded);
  TRY(TellProblems(context, loaded.problems));
  return std::move(*loaded.topology);
}

Result<> TellProblems(Context& context, const std::vector<spec::Problem>& problems) {
  std::size_t errors = 0;
  for (const spec::Problem& problem : problems) {
    if (!problem.warning) ++errors;
    context.console.Err(Printable(problem.Text(), "\n") + "\n");
  }
  if (errors == 0) return {};
  return Fail(ErrorCode::kInvalid, "", "", std::to_string(errors) + (errors == 1 ? " problem" : " problems"));
}

Result<spec::Topology> LoadFiles(Context& context, const spec::Outside& outside) {
  return TellProblems(context, spec::Load(context.arguments.Values("file"), outside));
}

Result<std::string> LoadName(Context& context) {
  return TRY(TellProblems(context, spec::LoadName(context.arguments.Values("file"), OutsideOfFiles()))).name;
}

std::vector<std::string> AbsoluteSources(const Arguments& arguments) {
  std::vector<std::string> out;
  for (const std::string& path : arguments.Values("file")) {
    if (spec::IsStream(path)) return {};
    std::error_code failed;
    const auto absolute = std::filesystem::absolute(path, failed);
    if (failed) return {};
    out.push_back(absolute.string());
  }
  return out;
}

Result<reconcile::Options> PlanOptionsOf(const Arguments& arguments) {
  reconcile::Options options;
  options.targets = TRY(AddressSet(arguments, "target"));
  options.excludes = TRY(AddressSet(arguments, "exclude"));
  options.rerun = TRY(ServiceSet(arguments, "rerun"));
  options.replace = TRY(ServiceSet(arguments, "replace"));
  options.delete_data = arguments.Has("delete-data");
  options.directories = TRY(DirectoriesOf(arguments));
  return options;
}

Result<> CheckAddresses(const reconcile::Options& options, const spec::Topology* desired,
                        const reconcile::Applied& applied) {
  std::vector<std::string> known = AddressesOf(applied.topology);
  if (desired != nullptr) {
    for (std::string& text : AddressesOf(*desired)) known.push_back(std::move(text));
  }
  std::vector<std::string> asked;
  for (const Address& address : options.targets) asked.push_back(address.Text());
  for (const Address& address : options.excludes) asked.push_back(address.Text());
  for (const std::string& name : options.rerun) asked.push_back("service." + name);
  for (const std::string& name : options.replace) asked.push_back("service." + name);
  for (const std::string& text : asked) {
    if (std::ranges::find(known, text) != known.end()) continue;
    return Fail(Error::Of(ErrorCode::kNotFound, "", text, "there is no such resource").Hint(DidYouMean(text, known)));
  }
  return {};
}

Result<World> LoadWorld(state::Store& store, const std::string& project) {
  World world;
  world.project = project;
  const auto row = TRY(store.LoadProject(project));
  world.known = row.has_value();
  world.applied = TRY(reconcile::ToApplied(project, row));
  world.taken = reconcile::ToTaken(TRY(store.Leases()), project);
  return world;
}

Result<World> LoadWorldFor(const reconcile::Options& options, state::Store& store, const std::string& project) {
  World world = TRY(LoadWorld(store, project));
  if (options.delete_data) world.taken.volumes = TRY(reconcile::VolumesOfOthers(store, project));
  return world;
}

namespace {

// The way out of an ordinary user's machine is everybody's there: where it is down, the topology is not as it should
// be.
void TellWayOut(World& world, const Directories& directories) {
  const auto firewall =
      std::ranges::find(world.observed.parts, Part::kFirewall, [](const auto& part) { return part.first.part; });
  if (firewall == world.observed.parts.end() || firewall->second.presence != Presence::kPresent) return;
  const auto state = StateOfUsersMachine(directories);
  if (!state.why.empty()) firewall->second.facts[std::string(reconcile::kWayOutFact)] = state.why;
}

}  // namespace

Result<reconcile::Planner> Observe(World& world, const Probers& probers, const spec::Topology* desired,
                                   const reconcile::Options& options) {
  std::vector<std::string> networks;
  for (const spec::Topology* topology : {desired, static_cast<const spec::Topology*>(&world.applied.topology)}) {
    if (topology == nullptr) continue;
    for (const auto& [name, network] : topology->networks) networks.push_back(name);
  }
  world.observed.host = TRY(LookAtHost(world.project, networks));
  world.observed.host.nested = InUsersMachine(options.directories);
  if (!world.known) {
    // What runs keeps its addresses when it is adopted.
    auto leases = TRY(LeasesInUse(options.directories, world.project));
    world.applied.addresses = std::move(leases.addresses);
    world.applied.subnets = std::move(leases.subnets);
  }
  auto planner =
      TRY(reconcile::Planner::Prepare({desired, &world.applied, &world.observed.host, &world.taken, options}));
  world.observed.parts = TRY(reconcile::Observe(world.project, planner.parts(), probers.by_part()));
  if (world.observed.host.nested) TellWayOut(world, options.directories);
  return planner;
}

Result<reconcile::Plan> PlanFor(const World& world, const spec::Topology* desired, const reconcile::Options& options) {
  reconcile::Input input;
  input.desired = desired;
  input.applied = &world.applied;
  input.observed = &world.observed;
  input.taken = &world.taken;
  input.options = options;
  return reconcile::MakePlan(input);
}

Result<std::string> KnownProject(state::Store& store, const std::string& name) {
  const std::vector<std::string> projects = TRY(store.Projects());
  if (std::ranges::find(projects, name) != projects.end()) return name;
  std::string hint = DidYouMean(name, projects);
  if (hint.empty()) hint = "`nucleus ps --all` lists what there is";
  return Fail(Error::Of(ErrorCode::kNotFound, "", "'" + name + "'", "no such project").Hint(hint));
}

int Gates(Context& context, const reconcile::Plan& plan) {
  const std::string_view name = context.arguments.command().name;
  if (context.arguments.Has("expect")) {
    const auto expected = ParseDigestPrefix(context.arguments.Value("expect"));
    if (!expected || !plan.digest.Hex().starts_with(*expected)) {
      context.console.Fail(name, Error::Of(ErrorCode::kStale, "", "plan",
                                           "it is sha256:" + plan.digest.Hex() + ", not the one expected"));
      return exit_code::kStale;
    }
  }
  const std::vector<std::string> gates = context.arguments.Values("fail-on");
  std::string refused;
  for (const reconcile::Change& change : plan.changes) {
    std::string hit;
    const std::string_view action = reconcile::ActionName(change.action);
    const bool drifted =
        std::ranges::any_of(change.reasons, [](const auto& r) { return r.type == reconcile::Reason::Type::kDrift; });
    for (const std::string& gate : gates) {
      if (gate == action || (gate == "drift" && (change.drift || drifted))) hit = gate;
    }
    if (!hit.empty()) refused += (refused.empty() ? "" : ", ") + change.address.Text() + " (" + hit + ")";
  }
  if (refused.empty()) return exit_code::kDone;
  context.console.Fail(name, Error::Of(ErrorCode::kInvalid, "", "refused by --fail-on", refused));
  return exit_code::kGate;
}

void PrintPlan(Context& context, const reconcile::Plan& plan, const std::vector<std::string>& files) {
  switch (OutputFormOf(context.arguments)) {
    case OutputForm::kText:
      context.console.Out(reconcile::Explain(
          plan, files, {.colour = context.console.colour_out(), .summary_only = context.arguments.Has("summary")}));
      return;
    case OutputForm::kJson:
      context.console.Out(reconcile::PlanJson(plan, files));
      return;
    case OutputForm::kJsonLines:
      context.console.Out(reconcile::PlanEvents(plan, files));
      return;
  }
}

Result<> WriteSavedPlan(const Arguments& arguments, const World& world, const spec::Topology* desired,
                        const reconcile::Options& options, const reconcile::Plan& plan) {
  reconcile::SavedPlan saved;
  saved.project = world.project;
  saved.sources = AbsoluteSources(arguments);
  if (desired != nullptr) saved.desired = *desired;
  saved.options = options;
  saved.base_revision = world.applied.revision;
  saved.seen = world.observed.parts;
  saved.digest = plan.digest;
  saved.document = reconcile::PlanJson(plan, desired != nullptr ? desired->files : std::vector<std::string>{});
  constexpr mode_t kPrivate = 0600;  // it holds what the desired state holds
  return sys::WriteOut(arguments.Value("out"), reconcile::Encode(saved), kPrivate);
}

std::vector<std::string> Unreadable(const World& world) {
  std::vector<std::string> out;
  for (const auto& [key, observation] : world.observed.parts) {
    if (observation.presence == Presence::kUnreadable) out.push_back(key.Text() + ": " + observation.detail);
  }
  return out;
}

}  // namespace nucleus::cli
