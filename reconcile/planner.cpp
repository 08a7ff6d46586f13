#include "reconcile/planner.hpp"

#include <algorithm>

#include "reconcile/assess.hpp"
#include "reconcile/limits.hpp"
#include "reconcile/model.hpp"
#include "reconcile/parallel.hpp"
#include "reconcile/place.hpp"
#include "reconcile/plan_digest.hpp"
#include "reconcile/steps.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::reconcile {

namespace {

// ---- what is refused before any step ----

// What is out of scope keeps its ports, whatever the file gives them to.
Result<> CheckPortsThatStay(const spec::Topology& desired, const Scope& scope) {
  if (scope.all) return {};
  for (const auto& [stays, keeper] : desired.services) {
    if (scope.Has({Kind::kService, stays})) continue;
    for (const auto& [name, service] : desired.services) {
      if (!scope.Has({Kind::kService, name})) continue;
      for (const auto& port : service.port_forwards) {
        if (std::ranges::none_of(keeper.port_forwards, [&](const auto& its) { return spec::Collide(its, port); }))
          continue;
        return Fail(Error::Of(ErrorCode::kConflict, "publish " + spec::Format(port) + " of", "service." + name,
                              "service." + stays + " has the port, and is left as it is")
                        .Hint("apply both at one time: --target service." + stays + " as well")
                        .In(ExactPlaceText(FindPlace(service.places, "port_forwards"), desired.files)));
      }
    }
  }
  return {};
}

Result<> CheckPorts(const spec::Topology& desired, const Scope& scope, const Taken& taken) {
  TRY(CheckPortsThatStay(desired, scope));
  if (taken.ports.empty()) return {};
  for (const auto& [name, service] : desired.services) {
    if (!scope.Has({Kind::kService, name})) continue;
    for (const auto& port : service.port_forwards) {
      const auto other = std::find_if(taken.ports.begin(), taken.ports.end(),
                                      [&](const auto& entry) { return spec::Collide(entry.first, port); });
      if (other == taken.ports.end()) continue;
      return Fail(Error::Of(ErrorCode::kConflict, "publish " + spec::Format(port) + " of", "service." + name,
                            "the port is published by " + other->second)
                      .In(ExactPlaceText(FindPlace(service.places, "port_forwards"), desired.files)));
    }
  }
  return {};
}

Result<> CheckAsked(const Options& options, const spec::Topology& desired) {
  for (const auto* asked : {&options.rerun, &options.replace}) {
    for (const auto& text : *asked) {
      const auto name = text.starts_with("service.") ? text.substr(8) : text;
      if (desired.services.contains(name)) continue;
      return Fail(ErrorCode::kNotFound, asked == &options.rerun ? "run again" : "replace", text,
                  "there is no such service");
    }
  }
  return {};
}

Result<> CheckProtected(const Model& model) {
  std::string names;
  for (const auto& resource : model.resources) {
    const auto action = resource.action();
    if (!resource.in_scope || (action != Action::kDestroy && action != Action::kReplace)) continue;
    const auto guarded = [&](const auto& states) {
      const auto* state = states.desired != nullptr ? states.desired : states.applied;
      return state != nullptr && state->protect;
    };
    if (!guarded(resource.volume) && !guarded(resource.service)) continue;
    names += (names.empty() ? "" : ", ") + resource.address.Text() + " would be " +
             (action == Action::kDestroy ? "destroyed" : "replaced");
  }
  if (names.empty()) return {};
  return Fail(Error::Of(ErrorCode::kConflict, "plan for", model.project(), "protected: " + names)
                  .Hint("set protect = false, apply that, then try again"));
}

Result<> CheckLimits(const Model& model, Plan& plan) {
  for (const auto& resource : model.resources) {
    const auto* service = resource.service.desired;
    if (service == nullptr || !resource.in_scope) continue;
    const Wanted* cgroup = model.Want(resource, Part::kCgroup);
    const auto unheld =
        cgroup != nullptr ? std::get<CgroupWanted>(*cgroup).unavailable : model.desired().Unheld(*service);
    for (const auto& key : unheld) {
      const std::string what = resource.address.Text() + " " + key;
      if (service->mode == spec::ServiceMode::kProduction && !model.question().options.drift_only)
        return Fail(NotHeld(what));
      plan.unheld.insert(what);
      plan.warnings.push_back(what + ": not held, " + std::string(kNoController));
    }
  }
  return {};
}

void WarnUnrestricted(const Model& model, Plan& plan) {
  for (const auto& resource : model.resources) {
    const auto* netns = resource.Find(Part::kNetns);
    if (netns == nullptr || !netns->present() || resource.service.desired == nullptr || !resource.in_scope) continue;
    const auto why = netns->seen->notes.find(std::string(kEgressLackNote));
    if (why == netns->seen->notes.end()) continue;
    const std::string what = resource.address.Text() + " egress rules";
    plan.unheld.insert(what);
    plan.warnings.push_back(what + ": not in force, what it sends is not restricted: " + why->second);
  }
}

// --target and --exclude may leave out a service that asks to be restarted with another one.
void WarnLeftOut(const Model& model, Plan& plan) {
  for (const auto& resource : model.resources) {
    if (resource.in_scope || resource.service.desired == nullptr) continue;
    for (const auto& dependency : resource.service.desired->depends_on) {
      const auto other = dependency.restart ? model.IndexOf(Kind::kService, dependency.service) : std::nullopt;
      if (!other || !model.resources[*other].in_scope || !model.resources[*other].Restarts()) continue;
      plan.warnings.push_back(resource.address.Text() + ": not restarted with " +
                              model.resources[*other].address.Text() +
                              ", although its depends_on asks for it: it is left out of this plan");
    }
  }
}

// What is published over a network without a way out is reached from this machine alone.
void WarnInternalPorts(const Scope& scope, Plan& plan) {
  for (const auto& [name, service] : scope.desired->services) {
    if (service.port_forwards.empty() || service.networks.empty() || !scope.Has({Kind::kService, name})) continue;
    const auto network = scope.desired->networks.find(service.networks.front());
    if (network == scope.desired->networks.end() || !network->second.internal) continue;
    plan.warnings.push_back("service." + name + " port_forwards: reached from this machine only, network." +
                            network->first + " is internal");
  }
}

// ---- what people read ----

void AddChanges(const Model& model, Plan& plan) {
  for (const auto& resource : model.resources) {
    if (!resource.in_scope || (resource.reasons.empty() && !resource.unknown)) continue;
    Change change;
    change.address = resource.address;
    change.action = resource.action();
    change.unknown = resource.unknown;
    for (const auto& [action, reason] : resource.reasons) change.reasons.push_back(reason);
    change.drift = !change.reasons.empty() && resource.drift_cause;
    for (std::size_t i = 0; i < resource.part_count && change.reasons.empty(); ++i) {
      const auto& part = resource.parts[i];
      if (!part.unreadable()) continue;
      change.reasons.push_back({Reason::Type::kDrift, part.seen->detail, std::string(PartName(part.part)), {}});
    }
    plan.changes.push_back(std::move(change));
  }
  std::stable_partition(plan.changes.begin(), plan.changes.end(),
                        [](const Change& change) { return change.action == Action::kDestroy; });
}

// Leases of what the plan may touch; those of the rest are as they were.
void AddLeases(const Scope& scope, Leases leases, Plan& plan) {
  const auto outside = [&](const auto& entry) {
    const auto address = Address::Parse(entry.first.substr(0, entry.first.find('/')));
    return !address || !scope.Has(*address);
  };
  if (!scope.all) {
    std::erase_if(leases.addresses, outside);
    std::erase_if(leases.subnets, outside);
  }
  plan.addresses = std::move(leases.addresses);
  plan.subnets = std::move(leases.subnets);
}

}  // namespace

std::string_view ActionName(Action action) {
  switch (action) {
    case Action::kNone:
      return "none";
    case Action::kAdopt:
      return "adopt";
    case Action::kCreate:
      return "create";
    case Action::kLive:
      return "live";
    case Action::kSignal:
      return "signal";
    case Action::kRestart:
      return "restart";
    case Action::kReplace:
      return "replace";
    case Action::kDestroy:
      return "destroy";
  }
  return "none";
}

std::string Step::Text() const {
  const auto suffix = [&]() -> std::string_view {
    switch (verb) {
      case Verb::kApply:
        return "";
      case Verb::kUndo:
        return after_completion ? " (clean up)" : " (undo)";
      case Verb::kSignal:
        return " (signal)";
      case Verb::kWaitStarted:
        return " (started)";
      case Verb::kWaitHealthy:
        return " (healthy)";
      case Verb::kWaitCompleted:
        return " (completed)";
    }
    return "";
  };
  return key.Text().append(suffix());
}

struct Planner::Prepared {
  Question question;
  Scope scope;
  Leases leases;
  std::optional<Model> model;  // it points at all of these
};

Planner::Planner(std::unique_ptr<Prepared> prepared) : prepared_(std::move(prepared)) {}
Planner::~Planner() = default;
Planner::Planner(Planner&&) noexcept = default;
Planner& Planner::operator=(Planner&&) noexcept = default;

Result<Planner> Planner::Prepare(Question question) {
  auto prepared = std::make_unique<Prepared>();
  auto& [asked, scope, leases, model] = *prepared;
  asked = std::move(question);
  scope = TRY(MakeScope(asked.desired, *asked.applied, asked.options));
  TRY(CheckVolumes(*scope.desired));
  Result<Leases> allocated;
  DoBoth(
      scope.desired->services.size() >= kWorthAThread, [&] { model.emplace(asked, scope); },
      [&] { allocated = Allocate(*scope.desired, *asked.applied, *asked.host, *asked.taken); });
  leases = TRY(std::move(allocated));
  model->AddWanted(leases);
  return Planner(std::move(prepared));
}

std::map<PartKey, Wanted>& Planner::parts() {
  return prepared_->model->parts();
}

Result<Plan> Planner::MakePlan(const Observations& seen) && {
  auto& [question, scope, leases, known] = *prepared_;
  Model& model = *known;
  TRY(CheckAsked(question.options, *scope.desired));
  TRY(CheckPorts(*scope.desired, scope, *question.taken));
  model.See(seen);
  Plan plan;
  plan.project = scope.desired->name;
  plan.base_revision = question.applied->revision;
  Assess(model);
  TRY(CheckProtected(model));
  TRY(CheckLimits(model, plan));
  WarnUnrestricted(model, plan);
  WarnLeftOut(model, plan);
  WarnInternalPorts(scope, plan);
  AddChanges(model, plan);
  plan.steps = TRY(MakeSteps(model));
  AddLeases(scope, std::move(leases), plan);
  plan.digest = DigestOf(plan);
  return plan;
}

Result<Plan> MakePlan(const Input& input) {
  const auto& [desired, applied, observed, taken, options] = input;
  return TRY(Planner::Prepare({desired, applied, &observed->host, taken, options})).MakePlan(observed->parts);
}

Result<std::map<PartKey, Wanted>> WantedParts(const spec::Topology* desired, const Applied& applied, const Host& host,
                                              const Taken& taken, const Options& options) {
  auto planner = TRY(Planner::Prepare({desired, &applied, &host, &taken, options}));
  auto parts = std::move(planner.parts());
  for (auto& [key, wanted] : parts) OwnService(wanted);
  return parts;
}

}  // namespace nucleus::reconcile
