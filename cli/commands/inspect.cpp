#include <algorithm>

#include "cli/inspection.hpp"
#include "cli/nearest.hpp"
#include "cli/session.hpp"
#include "cli/users_machine.hpp"
#include "reconcile/observe.hpp"

namespace nucleus::cli {

namespace {

// "shop/network.front", "network.front", "shop/front" where a kind was said before it.
struct Asked {
  std::string project;  // "": whichever has it
  Address address;
};

std::optional<Asked> ParseAsked(const std::string& name, std::optional<Kind> kind) {
  const auto slash = name.find('/');
  const std::string project = slash == std::string::npos ? "" : name.substr(0, slash);
  const std::string rest = slash == std::string::npos ? name : name.substr(slash + 1);
  if (kind) return Asked{project, {*kind, rest}};
  auto address = Address::Parse(rest);
  if (!address) return std::nullopt;
  return Asked{project, *std::move(address)};
}

// The name as ps has it, with the kind where that was said.
std::string Wording(const std::string& name, const std::optional<Asked>& asked) {
  if (!asked) return name;
  return (asked->project.empty() ? "" : asked->project + "/") + asked->address.Text();
}

// Everything of a project, as it was applied and as it is.
Result<Inspected> LookAt(state::Store& store, const Directories& directories, const World& world, Address address) {
  Inspected what;
  what.project = world.project;
  what.address = std::move(address);
  const spec::Topology listed = TRY(AppliedAndBegun(store, directories, world));
  reconcile::Options options;
  options.directories = directories;
  const Host host = TRY(LookAtHost(""));
  what.parts = TRY(reconcile::WantedParts(&listed, world.applied, host, world.taken, options));
  std::map<PartKey, Wanted> asked = what.parts;
  std::erase_if(asked, [&](const auto& part) { return part.first.address != what.address; });
  const Probers probers(directories);
  what.seen = TRY(reconcile::Observe(world.project, asked, probers.by_part()));
  what.machine = StateOfUsersMachine(directories);
  return what;
}

bool Has(const spec::Topology& topology, const Address& address) {
  return (address.kind == Kind::kNetwork && topology.networks.contains(address.name)) ||
         (address.kind == Kind::kVolume && topology.volumes.contains(address.name));
}

// A network or a volume.
Result<Inspected> FindResource(state::Store& store, const Directories& directories, const Asked& asked) {
  std::vector<std::string> known;
  std::vector<World> having;
  for (const std::string& project : TRY(store.Projects())) {
    if (!asked.project.empty() && project != asked.project) continue;
    World world = TRY(LoadWorld(store, project));
    const auto note = [&](const auto& resources, Kind kind) {
      if (kind != asked.address.kind) return;
      for (const auto& [name, resource] : resources)
        known.push_back((asked.project.empty() ? "" : project + "/") + name);
    };
    note(world.applied.topology.networks, Kind::kNetwork);
    note(world.applied.topology.volumes, Kind::kVolume);
    if (Has(world.applied.topology, asked.address)) having.push_back(std::move(world));
  }
  const std::string kind(KindName(asked.address.kind));
  const std::string name = (asked.project.empty() ? "" : asked.project + "/") + asked.address.name;
  if (having.empty()) {
    const std::vector<std::string_view> views(known.begin(), known.end());
    const auto nearest = Nearest(name, views);
    return Fail(Error::Of(ErrorCode::kNotFound, "", "'" + name + "'", "no such " + kind)
                    .Hint(nearest ? "did you mean '" + std::string(*nearest) + "'?"
                                  : "`nucleus show NAME` lists those of a topology"));
  }
  if (having.size() > 1) {
    return Fail(Error::Of(ErrorCode::kConflict, "", kind + " " + name, "is there in several topologies")
                    .Hint("say which: " + having.front().project + "/" + asked.address.name));
  }
  return LookAt(store, directories, having.front(), asked.address);
}

Result<Inspected> FindRunning(state::Store& store, const Directories& directories, const std::string& name) {
  std::vector<ServiceRow> rows = TRY(ListServices(store, directories, ""));
  std::vector<ServiceRow> one{TRY(FindService(rows, name))};
  CountDenials(directories, one);
  const ServiceRow& row = one.front();
  Inspected what;
  if (row.address.kind == Kind::kService) {
    const World world = TRY(LoadWorld(store, row.project));
    what = TRY(LookAt(store, directories, world, row.address));
  } else {
    what.project = row.project;
    what.address = row.address;
    std::map<PartKey, Wanted> none;
    const Probers probers(directories);
    what.seen = TRY(reconcile::Observe(row.project, none, probers.by_part()));
  }
  what.row = row;
  return what;
}

}  // namespace

Result<int> RunInspect(Context& context) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  std::vector<std::string> names = context.arguments.operands();
  std::optional<Kind> kind;
  for (const Kind one : {Kind::kNetwork, Kind::kVolume, Kind::kService, Kind::kContainer}) {
    if (names.size() > 1 && names.front() == KindName(one)) kind = one;
  }
  if (kind) names.erase(names.begin());
  for (const std::string& name : names) {
    const auto asked = ParseAsked(name, kind);
    const bool resource = asked && (asked->address.kind == Kind::kNetwork || asked->address.kind == Kind::kVolume);
    const Inspected what = TRY(resource ? FindResource(store, directories, *asked)
                                        : FindRunning(store, directories, Wording(name, asked)));
    if (context.arguments.Value("output") == "json") {
      context.console.Out(InspectJson(what));
    } else {
      context.console.Out((&name == &names.front() ? "" : "\n") + InspectText(what));
    }
  }
  return exit_code::kDone;
}

}  // namespace nucleus::cli
