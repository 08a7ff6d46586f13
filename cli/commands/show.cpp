#include <sys/stat.h>

#include "actuators/sys/file.hpp"
#include "cli/listing_json.hpp"
#include "cli/session.hpp"
#include "reconcile/explain.hpp"
#include "reconcile/plan_json.hpp"
#include "reconcile/saved_plan.hpp"
#include "spec/core/text.hpp"
#include "spec/keys.hpp"
#include "spec/net.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

namespace {

Result<int> ShowPlan(Context& context, const std::string& text) {
  const reconcile::SavedPlan saved = TRY(reconcile::DecodeSavedPlan(text));
  if (context.arguments.Value("output") == "json") {
    context.console.Out(saved.document);
    return exit_code::kDone;
  }
  std::vector<std::string> files;
  const reconcile::Plan plan = TRY(reconcile::PlanFromJson(saved.document, files));
  context.console.Out(reconcile::Explain(plan, files, {.colour = context.console.colour_out()}));
  return exit_code::kDone;
}

std::string FieldsText(const spec::Fields& fields) {
  std::string out;
  for (const spec::Field& field : fields) out += "    " + field.name + " = " + Printable(field.value) + "\n";
  return out;
}

std::string LeasesText(const World& world, const std::string& address) {
  std::string out;
  if (const auto subnet = world.applied.subnets.find(address); subnet != world.applied.subnets.end()) {
    out += "    subnet: " + spec::Format(subnet->second) + "\n";
  }
  for (const auto& [name, leased] : world.applied.addresses) {
    if (name.starts_with(address + "/")) {
      out += "    address on " + name.substr(address.size() + 1) + ": " + spec::Format(leased) + "\n";
    }
  }
  return out;
}

template <class Resource>
void Show(Context& context, const World& world, std::string_view kind,
          const std::map<std::string, Resource>& resources) {
  for (const auto& [name, resource] : resources) {
    const std::string address = std::string(kind) + "." + name;
    context.console.Out("  " + address + "\n" + FieldsText(spec::CanonicalFields(resource)) +
                        LeasesText(world, address));
  }
}

}  // namespace

Result<int> RunShow(Context& context) {
  const std::string what = context.arguments.Operand(0);
  struct stat status{};
  if (::stat(what.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
    const std::string text = TRY(sys::ReadFile(what));
    if (reconcile::LooksLikeSavedPlan(text)) return ShowPlan(context, text);
    if (what.find('/') != std::string::npos) {
      return Fail(ErrorCode::kInvalid, "read", what, "is not a plan saved with --out");
    }
  }
  state::Store store = TRY(OpenToRead(context.arguments));
  const std::string project = TRY(KnownProject(store, what));
  if (context.arguments.Value("output") == "json") {
    const auto row = TRY(store.LoadProject(project));
    if (row) context.console.Out(ProjectJson(*row));
    return exit_code::kDone;
  }
  const World world = TRY(LoadWorld(store, project));
  context.console.Out(project + ": revision " + std::to_string(world.applied.revision) + "\n");
  Show(context, world, "network", world.applied.topology.networks);
  Show(context, world, "volume", world.applied.topology.volumes);
  Show(context, world, "service", world.applied.topology.services);
  return exit_code::kDone;
}

}  // namespace nucleus::cli
