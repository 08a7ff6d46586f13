#include "reconcile/assess.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "dag/graph.hpp"
#include "reconcile/diff.hpp"
#include "reconcile/drift.hpp"
#include "reconcile/place.hpp"
#include "reconcile/process_word.hpp"
#include "state/parts/facts.hpp"

namespace nucleus::reconcile {

namespace {

using Type = Reason::Type;

class Assessor {
 public:
  Assessor(Model& model, Resource& resource) : model_(model), r_(resource) {}

  void Run() {
    if (!r_.desired) {
      Remove();
      return;
    }
    CheckJob();
    if (!Known()) r_.Because(Action::kCreate, Type::kNew, "", "", PlaceOf(""));
    for (std::size_t i = 0; i < r_.part_count; ++i) AssessPart(r_.parts[i]);
    AssessFields();
    AssessAsked();
    AssessDependencies();
    AssessPorts();
    Detach();
    Raise();
    Settle();
  }

 private:
  void Remove() {
    bool any = false;
    r_.uncertain = !AttachedAsApplied();
    for (std::size_t i = 0; i < r_.part_count; ++i) {
      auto& part = r_.parts[i];
      if (!part.present() && !(r_.applied && part.unreadable())) continue;
      part.Raise(Remedy::kUndo, Action::kDestroy);
      any = true;
    }
    if (r_.applied) {
      r_.Because(Action::kDestroy, Type::kRemoved, RemovalWords());
    } else if (any) {
      r_.Because(Action::kDestroy, Type::kLeftover, "left over: nothing that was applied asks for it");
    }
    // Also where that is gone already: an undo that was killed may have left the places it was in, and the record goes
    // with it.
    if (r_.applied || any) r_.Find(MainPart(r_.address.kind))->Raise(Remedy::kUndo, Action::kDestroy);
  }

  // Why it goes, where that is not the command itself; and whoever reads "destroy" beside a volume wants to know of the
  // data.
  [[nodiscard]] std::string RemovalWords() const {
    const auto& options = model_.question().options;
    std::string words = options.destroy ? "" : "not in the file any more";
    const auto* volume = r_.volume.applied;
    if (volume == nullptr || volume->type != spec::VolumeType::kPersistent) return words;
    if (!words.empty()) words += "; ";
    const auto keeper = options.delete_data ? model_.KeeperOfData(*volume) : "";
    if (!keeper.empty()) return words + "its data stay, " + keeper + " has them: " + volume->path;
    return words + (options.delete_data ? "its data go too: " : "its data stay: ") + volume->path;
  }

  // Whether what is observed of the namespace is what the store believes.
  [[nodiscard]] bool AttachedAsApplied() const {
    const auto* netns = r_.Find(Part::kNetns);
    if (netns == nullptr || !netns->present()) return true;
    const auto was = model_.Was(r_, Part::kNetns);
    return was && Matches(*was, netns->seen->facts);
  }

  // What is applied; and, where only drift is asked for, what an apply that failed has begun.
  [[nodiscard]] bool Known() const { return r_.applied || model_.question().options.drift_only; }

  // Of the workload.
  [[nodiscard]] Digest DesiredDigest() const { return std::get<ProcessWanted>(*r_.Find(Part::kProcess)->want).digest; }

  void CheckJob() {
    if (!r_.job()) return;
    const auto& completed = model_.question().applied->completed_jobs;
    const auto found = completed.find(r_.address.name);
    if (found == completed.end() || IsAsked(model_.question().options.rerun)) return;
    r_.job_done = found->second == DesiredDigest();
    if (!r_.job_done) return;
    // What it did for a volume is gone with what was in it.
    for (const auto index : model_.VolumesOf(r_.service.desired)) {
      const auto& volume = model_.resources[index];
      if (!volume.parts[0].made_anew()) continue;
      r_.job_done = false;
      r_.Because(Action::kRestart, Type::kDependency, volume.address.Text() + " is made anew");
      r_.drift_cause &= volume.drift_cause;
    }
  }

  // A job that has completed keeps nothing that could be missing.
  [[nodiscard]] bool WasJob() const {
    const auto* service = r_.service.applied;
    return service != nullptr && service->type == spec::ServiceType::kJob;
  }

  // What a command has started is there for what it does: that it has done it is no drift. What a file says stays
  // wanted.
  [[nodiscard]] bool IsOver(const PartState& part) const {
    const auto& question = model_.question();
    if (!question.options.drift_only || part.part != Part::kProcess || r_.service.desired == nullptr) return false;
    return question.applied->by_command && part.present() && StaysEnded(part, *r_.service.desired);
  }

  [[nodiscard]] bool IsAsked(const std::set<std::string>& asked) const {
    return !asked.empty() && (asked.contains(r_.address.name) || asked.contains(r_.address.Text()));
  }

  [[nodiscard]] spec::Place PlaceOf(std::string_view key) const {
    const spec::Places* places = r_.network.desired   ? &r_.network.desired->places
                                 : r_.volume.desired  ? &r_.volume.desired->places
                                 : r_.service.desired ? &r_.service.desired->places
                                                      : nullptr;
    return places == nullptr ? spec::Place{} : FindPlace(*places, key);
  }

  // A volume is looked for where it is to be; what is different there from what was applied elsewhere is no drift.
  [[nodiscard]] bool Moves() const {
    const auto& [desired, applied] = r_.volume;
    return desired != nullptr && applied != nullptr &&
           (desired->path != applied->path || desired->type != applied->type);
  }

  void AssessPart(PartState& part) {
    if ((part.matches && !r_.job_done) || IsOver(part)) {
      part.wanted = true;
      return;
    }
    const Wanted* want = model_.Want(r_, part.part);
    part.wanted = want != nullptr;
    if (part.unreadable()) {
      r_.unknown = true;
      AssessUnreadable(part, want);
      return;
    }
    if (want == nullptr) {
      if (!part.present()) return;
      part.Raise(Remedy::kUndo, Action::kLive);
      r_.Because(Action::kLive, Type::kLeftover, std::string(PartName(part.part)) + " left over");
      return;
    }
    if (!part.present()) {
      part.Raise(Remedy::kApply, Action::kCreate);
      const bool missed = r_.applied ? model_.HadBeen(r_, part.part) : Known();
      if (missed && !r_.job() && !WasJob() && !Moves()) {
        r_.Because(Action::kCreate, Type::kDrift, std::string(AbsentWords(part.part)), "", PlaceOf(""));
      }
      return;
    }
    const auto expected = ExpectedFacts(*want);
    if (part.seen->facts != expected) AssessFacts(part, part.seen->facts, expected);
  }

  // The kernel would not say: what was applied is taken for what is there, so that changes are still seen.
  void AssessUnreadable(PartState& part, const Wanted* want) {
    const auto was = model_.Was(r_, part.part);
    if (!was && want != nullptr) part.Raise(Remedy::kApply, Action::kCreate);
    if (was && want != nullptr) {
      const auto before = ExpectedFacts(*was);
      const auto expected = ExpectedFacts(*want);
      if (before != expected) AssessFacts(part, before, expected);
    }
  }

  void AssessFacts(PartState& part, const Facts& seen, const Facts& expected) {
    const auto was = model_.Was(r_, part.part);
    const Facts before = was ? ExpectedFacts(*was) : Facts();
    const bool takes_signal = r_.service.desired != nullptr && r_.service.desired->reload_signal != 0;
    bool followed = false;
    for (const auto& fact : DiffFacts(seen, expected)) {
      if (OnItsWay(r_, part, fact)) continue;
      const auto effect = CureFor(part.part, fact, takes_signal);
      part.Raise(effect.remedy, effect.action);
      const auto then = before.find(fact.name);
      // Nothing was said of it before: whatever is there is no drift, but what the file changes.
      const bool fresh = r_.applied && then == before.end() && fact.expected.has_value();
      const bool as_applied = then == before.end() ? !fact.seen.has_value() : fact.seen == then->second;
      if (!Known()) {
        if (effect.remedy == Remedy::kRemake) stale_ = fact.name;
      } else if (!as_applied && !fresh && !Moves()) {
        r_.Because(effect.action, Type::kDrift, DriftWords(part.part, fact), fact.name);
      } else {
        followed = true;
      }
    }
    if (followed) followed_.push_back({part.part, part.action});
  }

  [[nodiscard]] bool WorkloadSettled() const {
    const auto* process = r_.Find(Part::kProcess);
    if (process == nullptr || !process->present() || !process->wanted) return false;
    return FactOf(*process, "digest") == DesiredDigest().Hex();
  }

  // It runs as it is wanted, or has done so to its good end.
  [[nodiscard]] bool JobSettled() const {
    if (!WorkloadSettled()) return false;
    const auto& process = *r_.Find(Part::kProcess);
    return (!HasEnded(process) && FactOf(process, "state") != "failed") || EndedWell(process);
  }

  // A job that has run before, or runs, is run anew: whoever gates restarts means that too.
  [[nodiscard]] Action Rerun() const {
    const bool ran = model_.question().applied->completed_jobs.contains(r_.address.name);
    return ran || r_.Find(Part::kProcess)->present() ? Action::kRestart : Action::kCreate;
  }

  // What the change of a field really calls for: nothing but a record where the kernel is there already, which is so
  // after an apply that was cut short.
  [[nodiscard]] Action NeededFor(const FieldChange& change) {
    const Action action = ActionOf(change.rule.effect);
    if (change.noted) return Action::kAdopt;
    if (change.rule.home == Home::kRecord || action == Action::kLive) return action;
    if (r_.job() && r_.job_done) return Action::kLive;
    if (r_.job()) return JobSettled() ? Action::kAdopt : Rerun();
    if (r_.address.kind == Kind::kVolume) return action;
    if (r_.address.kind == Kind::kNetwork) {
      const auto& bridge = r_.parts[0];
      return bridge.present() && bridge.remedy == Remedy::kKeep ? Action::kAdopt : action;
    }
    if (change.rule.home == Home::kContents) {
      const auto* process = r_.Find(Part::kProcess);
      if (process->present() && process->action < Action::kSignal) return Action::kAdopt;
      return r_.service.desired->reload_signal != 0 ? Action::kSignal : Action::kRestart;
    }
    return WorkloadSettled() ? Action::kAdopt : action;
  }

  [[nodiscard]] std::vector<FieldChange> ChangedFields() const {
    if (r_.same) return {};
    if (r_.network.desired) {
      return DiffFields(*r_.network.applied, *r_.network.desired);
    }
    if (r_.volume.desired) {
      return DiffFields(*r_.volume.applied, *r_.volume.desired);
    }
    if (!r_.service.desired) return {};
    return DiffFields(*r_.service.applied, *r_.service.desired);
  }

  void AssessFields() {
    if (!r_.applied) return;
    auto changes = ChangedFields();
    for (auto& change : changes) {
      const auto action = NeededFor(change);
      const auto* moved = change.field == "path" ? r_.volume.applied : nullptr;
      if (moved != nullptr && moved->type == spec::VolumeType::kPersistent)
        change.text += "; its data stay: " + moved->path;
      r_.Because(action, Type::kChanged, std::move(change.text), change.field, PlaceOf(change.field));
    }
    // Its parts follow something that is not written in the resource itself.
    if (!changes.empty()) return;
    for (const auto& [part, action] : followed_) {
      r_.Because(action, Type::kDependency, std::string(FollowedWords(part)));
      r_.drift_cause = false;
    }
  }

  void AssessAsked() {
    const auto& options = model_.question().options;
    if (r_.address.kind != Kind::kService) return;
    if (IsAsked(options.replace)) r_.Because(Action::kReplace, Type::kAsked, "asked for by --replace");
    if (IsAsked(options.rerun)) {
      r_.Because(r_.job() ? Rerun() : Action::kRestart, Type::kAsked, "asked for by --rerun");
    } else if (r_.job() && !r_.job_done && r_.applied && r_.reasons.empty()) {
      const bool ended = JobSettled() && EndedWell(*r_.Find(Part::kProcess));
      r_.Because(ended ? Action::kAdopt : Action::kCreate, Type::kChanged,
                 ended ? "has completed meanwhile" : "has not completed as it is now");
    }
  }

  void AssessDependencies() {
    if (!r_.service.desired || !r_.applied || r_.job_done) return;
    const auto add = [&](Action action, const Resource& cause, std::string text) {
      r_.reasons.push_back({action, {Type::kDependency, std::move(text), "", {}}});
      r_.drift_cause &= cause.drift_cause;
    };
    for (const auto index : model_.NetworksOf(r_.service.applied)) {
      const auto& network = model_.resources[index];
      if (network.desired && network.action() == Action::kReplace) {
        add(Action::kReplace, network, network.address.Text() + " is replaced");
      }
    }
    for (const auto& dependency : r_.service.desired->depends_on) {
      const auto index = dependency.restart ? model_.IndexOf(Kind::kService, dependency.service) : std::nullopt;
      if (!index || !model_.resources[*index].Restarts() || !r_.Find(Part::kProcess)->present()) continue;
      add(Action::kRestart, model_.resources[*index], model_.resources[*index].address.Text() + " is restarted");
    }
  }

  // Its program lets go of a port at once only where it ends: whoever is to have it would wait for a step of this one,
  // which may itself wait for that.
  void AssessPorts() {
    const auto* process = r_.Find(Part::kProcess);
    if (process == nullptr || !process->present() || process->matches || r_.job_done) return;
    if (r_.action() >= Action::kRestart) return;
    for (const auto& [port, taker] : model_.PortsThatMove(r_)) {
      const std::string number = std::to_string(port.host_port) + (port.protocol == spec::Protocol::kUdp ? "/udp" : "");
      r_.Because(Action::kRestart, Type::kDependency, "its port " + number + " goes to " + taker.Text(),
                 "port_forwards", PlaceOf("port_forwards"));
    }
  }

  // After an apply that was cut short nobody knows which bridges a namespace is attached to. One that is not as it was
  // applied goes before any bridge is made anew: it would lose its links, and cannot wait for the new one before it
  // lets go of the old. Before a bridge that only goes, it is enough that its links are set right, see steps.cpp.
  void Detach() {
    auto* netns = r_.Find(Part::kNetns);
    if (netns == nullptr || !netns->present()) return;
    r_.uncertain = !AttachedAsApplied() || !r_.applied;
    if (!r_.uncertain) return;
    const bool bridge_goes = std::any_of(model_.resources.begin(), model_.resources.end(), [](const Resource& other) {
      return other.address.kind == Kind::kNetwork && other.parts[0].remedy == Remedy::kRemake;
    });
    if (!bridge_goes || !netns->wanted) return;
    netns->Raise(Remedy::kRemake, Action::kRestart);
    auto* process = r_.Find(Part::kProcess);
    if (process->present()) process->Raise(Remedy::kRemake, Action::kRestart);
    if (r_.action() < Action::kRestart) {
      r_.Because(Action::kRestart, r_.applied ? Type::kDrift : Type::kLeftover,
                 "attached to a network that goes → restart");
    }
  }

  // The parts that an action of the whole resource makes anew.
  void Raise() {
    struct Remade {
      Action action;
      Part part;
    };
    static constexpr auto kRemade = std::to_array<Remade>({
        {Action::kRestart, Part::kProcess},
        {Action::kReplace, Part::kProcess},
        {Action::kReplace, Part::kNetns},
        {Action::kReplace, Part::kNames},
        {Action::kReplace, Part::kCgroup},
        {Action::kReplace, Part::kBridge},
        {Action::kReplace, Part::kDirectory},
    });
    const auto action = r_.action();
    for (const auto& remade : kRemade) {
      auto* part = r_.Find(remade.part);
      if (part == nullptr || remade.action != action || !part->wanted) continue;
      // A volume's old place is not where the prober looked.
      const bool there = part->present() || part->part == Part::kDirectory;
      part->Raise(there ? Remedy::kRemake : Remedy::kApply, there ? action : Action::kCreate);
    }
    RaiseProcess();
  }

  // A running workload does not see a namespace, cgroup, file or volume that is made under it.
  void RaiseProcess() {
    auto* process = r_.Find(Part::kProcess);
    if (process == nullptr || !process->wanted || !process->present()) return;
    bool underneath = false;
    for (std::size_t i = 0; i < r_.part_count; ++i) {
      const auto& part = r_.parts[i];
      underneath |= part.part != Part::kProcess && part.made_anew();
    }
    for (const auto index : model_.VolumesOf(r_.service.desired)) {
      underneath |= model_.resources[index].parts[0].made_anew();
    }
    if (!underneath) return;
    process->Raise(Remedy::kRemake, Action::kRestart);
    if (r_.action() < Action::kRestart) {
      r_.Because(Action::kRestart, r_.applied ? Type::kDrift : Type::kLeftover,
                 "runs on what is not there any more → restart");
    }
  }

  // Resources that need nothing in the kernel, but the store's word; and what to wait for.
  void Settle() {
    auto* process = r_.Find(Part::kProcess);
    bool idle = true;
    for (std::size_t i = 0; i < r_.part_count; ++i) idle &= r_.parts[i].remedy == Remedy::kKeep;
    if (!Known() && idle && !r_.unknown) Adopt();
    if (!stale_.empty()) ExplainStale();
    if (idle && r_.applied && r_.action() >= Action::kAdopt) {
      r_.Find(MainPart(r_.address.kind))->Raise(Remedy::kRecord, Action::kAdopt);
    }
    if (process == nullptr || r_.job_done) return;
    const bool started =
        process->remedy >= Remedy::kApply && process->action != Action::kLive && process->action != Action::kSignal;
    r_.reload = process->remedy == Remedy::kApply && process->action == Action::kSignal && process->present();
    r_.await = started || r_.job() || (process->remedy == Remedy::kRecord && r_.action() == Action::kAdopt);
  }

  // Begun by an apply that did not come through.
  void ExplainStale() {
    const auto state = FactOf(*r_.Find(Part::kProcess), "state");
    std::string words = "what was begun there is made anew";
    if (stale_ == "digest") words = "it was started with other settings by an apply that failed";
    if (stale_ == "state") words = "its last start failed: it is " + std::string(state);
    if (stale_ == "supervisor") words = "its supervisor is gone";
    r_.reasons.clear();
    r_.Because(Action::kRestart, Type::kLeftover, std::move(words), "", PlaceOf(""));
  }

  void Adopt() {
    const auto* process = r_.Find(Part::kProcess);
    const bool done = r_.job_done || (r_.job() && process->present() && EndedWell(*process));
    r_.reasons.clear();
    r_.Because(Action::kAdopt, Type::kAdopted, done ? "has completed" : "is there as desired", "", PlaceOf(""));
    for (std::size_t i = 0; i < r_.part_count; ++i) {
      if (r_.parts[i].wanted) r_.parts[i].Raise(Remedy::kRecord, Action::kAdopt);
    }
    if (r_.job_done) r_.Find(Part::kProcess)->Raise(Remedy::kRecord, Action::kAdopt);
  }

  Model& model_;
  Resource& r_;
  std::vector<std::pair<Part, Action>> followed_;  // parts that differ as their makings do
  std::string stale_;  // the fact by which the process in the place of a new service is not the one that is wanted
};

// The services after those they depend on; in the order of their names where they wait for each other.
std::vector<std::uint32_t> Services(const Model& model) {
  const auto is_service = [](const Resource& resource) { return resource.address.kind == Kind::kService; };
  const auto begin = std::ranges::find_if(model.resources, is_service);
  const auto first = static_cast<std::uint32_t>(begin - model.resources.begin());
  const auto count = std::count_if(begin, model.resources.end(), is_service);
  dag::Graph graph(static_cast<std::size_t>(count));
  for (std::uint32_t i = 0; i < graph.size(); ++i) {
    for (const auto dependency : model.DependenciesOf(model.resources[first + i].service.desired)) {
      if (dependency != first + i) graph.AddEdge(dependency - first, i);
    }
  }
  std::vector<std::uint32_t> services(graph.size());
  std::iota(services.begin(), services.end(), 0);
  if (auto sorted = graph.Order()) services = *std::move(sorted);
  for (auto& service : services) service += first;
  return services;
}

// Nothing is asked of it, and all of it is there as it was applied and is desired.
bool IsSettled(const Resource& resource, const Options& options) {
  if (!resource.same || resource.job() || !options.rerun.empty() || !options.replace.empty()) return false;
  return std::all_of(
      resource.parts.begin(), resource.parts.begin() + static_cast<std::ptrdiff_t>(resource.part_count),
      [](const PartState& part) { return part.matches || (part.want == nullptr && part.seen == nullptr); });
}

}  // namespace

void Assess(Model& model) {
  bool moved = false;  // what is settled stays so unless something goes that it may rest on
  const auto assess = [&](Resource& resource) {
    if (!resource.in_scope) return;
    if (!moved && IsSettled(resource, model.question().options)) {
      for (auto& part : resource.parts) part.wanted = part.matches;
      return;
    }
    Assessor(model, resource).Run();
    moved |= resource.action() >= Action::kRestart || std::ranges::any_of(resource.parts, &PartState::made_anew);
  };
  if (std::ranges::all_of(model.resources, [&](const Resource& resource) {
        return !resource.in_scope || IsSettled(resource, model.question().options);
      })) {
    std::ranges::for_each(model.resources, assess);  // in whatever order
    return;
  }
  // A service looks at its networks and volumes, so they have to be decided.
  for (auto& resource : model.resources) {
    if (resource.address.kind != Kind::kService) assess(resource);
  }
  for (const auto index : Services(model)) assess(model.resources[index]);
}

}  // namespace nucleus::reconcile
