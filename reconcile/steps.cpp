#include "reconcile/steps.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "dag/graph.hpp"
#include "reconcile/parallel.hpp"
#include "spec/net.hpp"

namespace nucleus::reconcile {

namespace {

using dag::Node;

// ---- which part rests on which ----

enum class Relation : std::uint8_t { kSame, kAttached, kMounted, kEvery, kDependsOn };

// `upper` rests on `lower`: made after it, undone before it. clear: whatever is upper has to be gone before lower is
// made anew, also where lower itself was not there to be undone.
struct PartOrder {
  Part lower;
  Part upper;
  Relation relation;
  bool clear;
};
constexpr auto kOrder = std::to_array<PartOrder>({
    {Part::kCgroup, Part::kProcess, Relation::kSame, true},
    {Part::kNetns, Part::kProcess, Relation::kSame, true},
    {Part::kNames, Part::kProcess, Relation::kSame, true},
    {Part::kBridge, Part::kNetns, Relation::kAttached, true},
    {Part::kDirectory, Part::kProcess, Relation::kMounted, true},
    {Part::kBridge, Part::kFirewall, Relation::kEvery, false},
    {Part::kFirewall, Part::kProcess, Relation::kEvery, false},
    {Part::kProcess, Part::kProcess, Relation::kDependsOn, false},
});

// ---- which step a remedy stands for ----

struct RemedySteps {
  bool undo;
  bool apply;
};
constexpr std::array<RemedySteps, 5> kRemedySteps = {{
    {false, false},  // kKeep
    {false, true},   // kRecord: a step that touches nothing, see Executor
    {false, true},   // kApply
    {true, true},    // kRemake
    {true, false},   // kUndo
}};
const RemedySteps& StepsOf(Remedy remedy) {
  return kRemedySteps[static_cast<std::size_t>(remedy)];
}

struct Waited {
  spec::Condition condition;
  Verb verb;
};
constexpr std::array<Waited, 3> kWaits = {{
    {spec::Condition::kStarted, Verb::kWaitStarted},
    {spec::Condition::kHealthy, Verb::kWaitHealthy},
    {spec::Condition::kCompleted, Verb::kWaitCompleted},
}};
Verb WaitOf(spec::Condition condition) {
  return std::find_if(kWaits.begin(), kWaits.end(), [&](const auto& w) { return w.condition == condition; })->verb;
}

spec::Condition OwnMilestone(const spec::Service& service) {
  if (service.type == spec::ServiceType::kJob) return spec::Condition::kCompleted;
  return service.health ? spec::Condition::kHealthy : spec::Condition::kStarted;
}

bool HaveAPortInCommon(const spec::Service& a, const spec::Service& b) {
  return std::ranges::any_of(a.port_forwards, [&](const spec::PortForward& one) {
    return std::ranges::any_of(b.port_forwards, [&](const auto& other) { return spec::Collide(one, other); });
  });
}

class Builder {
 public:
  explicit Builder(Model& model) : model_(model), nodes_(model.resources.size()) {}

  Result<std::vector<Step>> Build() {
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) AddSteps(i);
    if (drafts_.empty()) return std::vector<Step>();
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) AddWaits(i);
    graph_ = dag::Graph(drafts_.size());
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) Connect(i);
    for (std::uint32_t i = 0; i < nodes_.size(); ++i) KeepUp(i);
    return Finish();
  }

 private:
  using Slot = std::optional<Node>;
  struct PartNodes {
    Slot undo, apply, cleanup;
    std::shared_ptr<const Wanted> wanted;  // what all of its steps want
  };
  struct ResourceNodes {
    std::array<PartNodes, 4> parts;
    Slot signal;
    std::array<Slot, 3> waits;  // as in kWaits
    [[nodiscard]] bool OfProcess() const {
      return signal || std::ranges::any_of(waits, [](const Slot& wait) { return wait.has_value(); });
    }
  };
  struct Draft {
    std::uint32_t resource;
    Part part;
    Verb verb;
    Action action;
    bool cleanup = false;
  };

  Node Add(Draft draft) {
    drafts_.push_back(draft);
    return static_cast<Node>(drafts_.size() - 1);
  }

  [[nodiscard]] const PartNodes* NodesOf(std::uint32_t index, Part part) const {
    const auto& resource = model_.resources[index];
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      if (resource.parts[i].part == part) return &nodes_[index].parts[i];
    }
    return nullptr;
  }

  void AddSteps(std::uint32_t index) {
    const auto& resource = model_.resources[index];
    if (!resource.in_scope) return;
    auto& nodes = nodes_[index];
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      const auto& part = resource.parts[i];
      const auto& steps = StepsOf(part.remedy);
      if (steps.undo) nodes.parts[i].undo = Add({index, part.part, Verb::kUndo, part.action});
      if (steps.apply) nodes.parts[i].apply = Add({index, part.part, Verb::kApply, part.action});
    }
    if (resource.reload) nodes.signal = Add({index, Part::kProcess, Verb::kSignal, Action::kSignal});
    if (resource.service.desired == nullptr) return;
    if (resource.await) AddWait(index, OwnMilestone(*resource.service.desired));
    if (!resource.job() || resource.job_done || !resource.await) return;
    // A job keeps nothing but its log once it has completed.
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      const auto& part = resource.parts[i];
      if (part.wanted) nodes.parts[i].cleanup = Add({index, part.part, Verb::kUndo, Action::kCreate, true});
    }
  }

  void AddWait(std::uint32_t index, spec::Condition condition) {
    auto& slot = nodes_[index].waits[static_cast<std::size_t>(condition)];
    if (!slot) slot = Add({index, Part::kProcess, WaitOf(condition), Action::kNone});
  }

  [[nodiscard]] bool Starts(std::uint32_t index) const {
    const auto& resource = model_.resources[index];
    const auto* process = resource.Find(Part::kProcess);
    return resource.in_scope && resource.await && process != nullptr && process->remedy >= Remedy::kApply;
  }

  // Milestones that whoever is started needs of the others, beyond the ones they have of their own.
  void AddWaits(std::uint32_t index) {
    if (!Starts(index)) return;
    for (const auto& dependency : model_.resources[index].service.desired->depends_on) {
      const auto other = model_.IndexOf(Kind::kService, dependency.service);
      if (!other) continue;
      const auto& resource = model_.resources[*other];
      if (!resource.in_scope || !resource.desired || resource.job_done) continue;
      if (Starts(*other) || dependency.condition == spec::Condition::kHealthy) AddWait(*other, dependency.condition);
    }
  }

  // The resources that `index` rests on by a relation; for making by what is desired, for undoing by what was applied.
  std::vector<std::uint32_t> Lower(std::uint32_t index, Relation relation, bool desired) {
    const auto& resource = model_.resources[index];
    const auto* service = desired ? resource.service.desired : resource.service.applied;
    switch (relation) {
      case Relation::kAttached:
        return model_.NetworksOf(service);
      case Relation::kMounted:
        return model_.VolumesOf(service);
      case Relation::kDependsOn:
        return model_.DependenciesOf(service);
      case Relation::kSame:   // see ConnectOrder
      case Relation::kEvery:  // see ConnectEvery
        return {};
    }
    return {};
  }

  void Edge(const Slot& before, const Slot& after) {
    if (before && after && *before != *after) graph_.AddEdge(*before, *after);
  }

  void Connect(std::uint32_t index) {
    const auto& resource = model_.resources[index];
    if (!resource.in_scope) return;
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      Edge(nodes_[index].parts[i].undo, nodes_[index].parts[i].apply);
    }
    for (const auto& order : kOrder) {
      if (resource.Find(order.upper) == nullptr) continue;
      order.relation == Relation::kEvery ? ConnectEvery(index, order) : ConnectOrder(index, order);
    }
    OrderRules(index);
    OrderPorts(index);
    ConnectProcess(index);
  }

  void ConnectOrder(std::uint32_t index, const PartOrder& order) {
    const auto& upper = *NodesOf(index, order.upper);
    if (order.relation == Relation::kSame) {
      const auto& lower = *NodesOf(index, order.lower);
      Edge(lower.apply, upper.apply);
      UndoBefore(lower, upper, order.clear);
      return;
    }
    if (upper.apply && order.relation != Relation::kDependsOn) {
      for (const auto lower : Lower(index, order.relation, true)) Edge(NodesOf(lower, order.lower)->apply, upper.apply);
    }
    if (order.relation == Relation::kAttached && upper.apply && !upper.undo) DetachFirst(index, order);
    if (!upper.undo) return;
    // What is in nobody's state says nothing of what it rested on but by its own parts.
    for (const auto lower : Lower(index, order.relation, false)) {
      UndoBefore(*NodesOf(lower, order.lower), upper, order.clear);
    }
    UndoBeforeStrangers(index, order);
  }

  void UndoBefore(const PartNodes& lower, const PartNodes& upper, bool clear) {
    Edge(upper.undo, lower.undo);
    if (clear && !lower.undo) Edge(upper.undo, lower.apply);
  }

  // Links of a running service are changed in place: those to a network that goes are gone before it. Of one that is
  // made anew there is no such link, see Assessor::Detach().
  void DetachFirst(std::uint32_t index, const PartOrder& order) {
    const auto* part = model_.resources[index].Find(order.upper);
    if (!part->present()) return;
    for (std::uint32_t other = 0; other < nodes_.size(); ++other) {
      const auto* nodes = NodesOf(other, order.lower);
      if (nodes != nullptr && nodes->undo && !nodes->apply) Edge(NodesOf(index, order.upper)->apply, nodes->undo);
    }
  }

  // Under a running service the rules of the new networks are in force before a link leads there. Those of networks
  // that go stay for as long as a service that is stopped is on them; from one that changes its links in place they go
  // first, with the bridge taken down: firewall.cpp.
  void OrderRules(std::uint32_t index) {
    const auto topology = model_.IndexOf(Kind::kTopology, model_.project());
    const auto* netns = NodesOf(index, Part::kNetns);
    if (!topology || netns == nullptr) return;
    const auto& firewall = *NodesOf(*topology, Part::kFirewall);
    if (!netns->undo && model_.resources[index].Find(Part::kNetns)->present()) Edge(firewall.apply, netns->apply);
    // Rules that go altogether go when nobody is on a network any more.
    if (firewall.undo && !firewall.apply && netns->apply && !netns->undo) Edge(netns->apply, firewall.undo);
    if (!netns->undo) return;
    for (const auto network : Lower(index, Relation::kAttached, false)) {
      const auto& bridge = *NodesOf(network, Part::kBridge);
      if (bridge.undo && !bridge.apply) Edge(netns->undo, firewall.apply);
    }
  }

  // A program in user space has its ports until it ends: whoever is to have one waits for that. What gives up one for
  // another service is always stopped for it (see Assessor::AssessPorts()), so two may change places.
  void OrderPorts(std::uint32_t index) {
    const auto* nodes = NodesOf(index, Part::kProcess);
    const auto* service = model_.resources[index].service.applied;
    if (nodes == nullptr || !nodes->undo || service == nullptr || !spec::IsUserspace(service->nat_backend)) return;
    for (std::uint32_t other = 0; other < nodes_.size(); ++other) {
      const auto* taker = model_.resources[other].service.desired;
      if (other == index || taker == nullptr || !spec::IsUserspace(taker->nat_backend)) continue;
      if (HaveAPortInCommon(*service, *taker)) Edge(nodes->undo, NodesOf(other, Part::kProcess)->apply);
    }
  }

  // A leftover service may be attached to any network.
  void UndoBeforeStrangers(std::uint32_t index, const PartOrder& order) {
    const auto& resource = model_.resources[index];
    if (!resource.uncertain || order.relation == Relation::kDependsOn) return;
    for (std::uint32_t other = 0; other < nodes_.size(); ++other) {
      if (auto* nodes = NodesOf(other, order.lower)) Edge(NodesOf(index, order.upper)->undo, nodes->undo);
    }
  }

  // The firewall is one, and every bridge and every process has to do with it.
  void ConnectEvery(std::uint32_t index, const PartOrder& order) {
    const auto& upper = *NodesOf(index, order.upper);
    if (!upper.undo && !upper.apply) return;
    const auto connect = [&](std::uint32_t other) {
      if (auto* lower = NodesOf(other, order.lower)) {
        Edge(lower->apply, upper.apply);
        Edge(upper.undo, lower->undo);
      }
    };
    if (order.lower == Part::kFirewall) {
      if (const auto firewall = model_.IndexOf(Kind::kTopology, model_.project())) connect(*firewall);
      return;
    }
    for (std::uint32_t other = 0; other < nodes_.size(); ++other) connect(other);
  }

  // Start, then wait or signal, then whatever waits for that; of a job the cleaning up, which leaves nothing to wait
  // for.
  void ConnectProcess(std::uint32_t index) {
    const auto& resource = model_.resources[index];
    if (resource.service.desired == nullptr) return;
    const auto& process = *NodesOf(index, Part::kProcess);
    auto& nodes = nodes_[index];
    Edge(process.apply, nodes.signal);
    for (const auto& wait : nodes.waits) {
      Edge(process.apply, wait);
      Edge(wait, process.cleanup);
    }
    for (std::size_t i = 0; i < resource.part_count; ++i) Edge(process.cleanup, nodes.parts[i].cleanup);
    if (!process.apply) return;
    for (const auto& dependency : resource.service.desired->depends_on) {
      const auto other = model_.IndexOf(Kind::kService, dependency.service);
      if (!other) continue;
      const auto& wait = nodes_[*other].waits[static_cast<std::size_t>(dependency.condition)];
      Edge(wait ? wait : NodesOf(*other, Part::kProcess)->apply, process.apply);
    }
  }

  // A service that is restarted goes on until what its new run waits for is there, so that it is not down for that
  // time, nor for good where that fails; unless its end is what the others wait for.
  void KeepUp(std::uint32_t index) {
    const auto& resource = model_.resources[index];
    if (!resource.in_scope || resource.service.desired == nullptr) return;
    const auto& process = *NodesOf(index, Part::kProcess);
    if (!process.undo || !process.apply) return;
    // What holds on to something else that goes, a bridge say, has to let go of it in time.
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      if (resource.parts[i].part != Part::kProcess && nodes_[index].parts[i].undo) return;
    }
    std::vector<Node> waits;
    for (const auto& dependency : resource.service.desired->depends_on) {
      const auto other = model_.IndexOf(Kind::kService, dependency.service);
      if (!other) continue;
      if (const auto& wait = nodes_[*other].waits[static_cast<std::size_t>(dependency.condition)])
        waits.push_back(*wait);
    }
    if (waits.empty()) return;
    const auto after = graph_.Descendants({*process.undo});
    for (const auto wait : waits) {
      if (!std::binary_search(after.begin(), after.end(), wait)) graph_.AddEdge(wait, *process.undo);
    }
  }

  void TakeWanted(std::uint32_t index) {
    const auto& resource = model_.resources[index];
    auto& nodes = nodes_[index];
    for (std::size_t i = 0; i < resource.part_count; ++i) {
      auto& part = nodes.parts[i];
      const bool waits = resource.parts[i].part == Part::kProcess && nodes.OfProcess();
      if (part.undo || part.apply || part.cleanup || waits)
        part.wanted = model_.GiveUp(resource, resource.parts[i].part);
    }
  }

  [[nodiscard]] std::shared_ptr<const Wanted> Was(const Resource& resource, Part part) const {
    auto was = model_.Was(resource, part);
    if (!was) return nullptr;
    OwnService(*was);
    return std::make_shared<const Wanted>(*std::move(was));
  }

  [[nodiscard]] Step MakeStep(const Draft& draft) const {
    const auto& resource = model_.resources[draft.resource];
    Step step;
    step.key = {model_.project(), resource.address, draft.part};
    step.verb = draft.verb;
    step.action = draft.action;
    step.after_completion = draft.cleanup;
    // Undone is what was; of a job that has completed, what is.
    const bool was = draft.verb == Verb::kUndo && !draft.cleanup && resource.applied;
    step.wanted = was ? Was(resource, draft.part) : NodesOf(draft.resource, draft.part)->wanted;
    if (draft.verb == Verb::kSignal) step.signal = resource.service.desired->reload_signal;
    step.delete_data = draft.verb == Verb::kUndo && draft.part == Part::kDirectory &&
                       resource.action() == Action::kDestroy && model_.question().options.delete_data &&
                       resource.volume.applied != nullptr && model_.KeeperOfData(*resource.volume.applied).empty();
    return step;
  }

  Result<std::vector<Step>> Finish() {
    const auto order = graph_.Order();
    if (!order) {
      std::string names;
      for (const auto node : graph_.Cycle()) names += MakeStep(drafts_[node]).Text() + " → ";
      return Fail(ErrorCode::kInternal, "order the steps of", model_.project(), "they wait for each other: " + names);
    }
    std::vector<std::uint32_t> place(drafts_.size());
    for (std::uint32_t i = 0; i < order->size(); ++i) place[(*order)[i]] = i;
    ForEachInParallel(nodes_.size(), [this](std::size_t i) { TakeWanted(static_cast<std::uint32_t>(i)); });
    std::vector<Step> steps(order->size());
    ForEachInParallel(steps.size(), [&](std::size_t i) {
      const auto node = (*order)[i];
      const auto& before = graph_.Before(node);
      auto& step = steps[i] = MakeStep(drafts_[node]);
      step.after.reserve(before.size());
      for (const auto other : before) step.after.push_back(place[other]);
      std::sort(step.after.begin(), step.after.end());
    });
    return steps;
  }

  Model& model_;
  std::vector<ResourceNodes> nodes_;
  std::vector<Draft> drafts_;
  dag::Graph graph_;
};

}  // namespace

Result<std::vector<Step>> MakeSteps(Model& model) {
  return Builder(model).Build();
}

}  // namespace nucleus::reconcile
