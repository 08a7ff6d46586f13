#include "cli/converge.hpp"

#include <algorithm>
#include <map>
#include <utility>

#include "cli/converge_wiring.hpp"
#include "cli/convergence.hpp"
#include "cli/limit_checks.hpp"
#include "cli/may_start.hpp"
#include "cli/progress.hpp"
#include "cli/published_ports.hpp"
#include "cli/record.hpp"
#include "cli/saved_secrets.hpp"
#include "cli/secret_digests.hpp"
#include "cli/settle.hpp"
#include "cli/signals.hpp"
#include "reconcile/applied.hpp"
#include "reconcile/explain.hpp"
#include "reconcile/place.hpp"
#include "reconcile/plan_json.hpp"
#include "reconcile/recover.hpp"
#include "reconcile/scope.hpp"
#include "spec/core/text.hpp"
#include "spec/load.hpp"
#include "spec/net.hpp"
#include "spec/refresh.hpp"

namespace nucleus::cli {

namespace {

using reconcile::Action;
using reconcile::Outcome;
using reconcile::Plan;

LockPatience PatienceOf(const Arguments& arguments) {
  return {.time = arguments.Time("lock-timeout"), .is_interrupted = [] { return Interrupted().load(); }};
}

Result<state::ProjectLock> TakeLock(Context& context, const Directories& directories, const std::string& project) {
  auto at_once = state::ProjectLock::Take(directories, project, {.time = Duration{0}});
  const LockPatience patience = PatienceOf(context.arguments);
  if (at_once || at_once.error().code != ErrorCode::kLocked || patience.time == Duration{0}) return at_once;
  context.console.Err("waiting for the lock: " + at_once.error().Message() + "\n");
  return state::ProjectLock::Take(directories, project, patience);
}

// What a killed apply left is found by its names and tags like any drift, and is in the plan. The intents are closed
// once that has been carried out.
Result<> TellInterrupted(Work& work) {
  const reconcile::Interrupted interrupted = TRY(reconcile::FindInterrupted(work.store, work.world.project));
  if (interrupted.empty()) return {};
  std::string steps;
  for (const std::string& step : interrupted.steps) steps += (steps.empty() ? "" : ", ") + step;
  work.console().Err("an earlier run failed or was cut off in " + steps + "; going on from what is there\n");
  return {};
}

int TellStale(const Work& work, const std::vector<std::string>& differences) {
  work.console().Fail(work.arguments().command().name,
                      Error::Of(ErrorCode::kStale, "", "the saved plan is stale", "since it was made")
                          .Hint("make it anew with `nucleus diff --out`"));
  for (const std::string& difference : differences) {
    work.console().Err("  " + Printable(difference) + "\n");
  }
  return exit_code::kStale;
}

// 0 where the saved plan still stands; else says what is different.
int CheckSaved(const Work& work) {
  if (work.goal.saved == nullptr) return exit_code::kDone;
  reconcile::Present present;
  present.revision = work.world.applied.revision;
  present.desired = work.goal.sources_now ? &*work.goal.sources_now : nullptr;
  present.seen = &work.world.observed.parts;
  present.plan = &work.plan;
  const auto differences = StaleBecause(*work.goal.saved, present);
  return differences.empty() ? exit_code::kDone : TellStale(work, differences);
}

// What whoever saved the plan did not see of secrets is recorded with it, and must not make it another plan. The exit
// code where it does.
Result<int> RecordSecrets(Work& work) {
  if (!SeeSecrets(work.directories, work.world, work.goal)) return exit_code::kDone;
  auto plan = TRY(PlanFor(work.world, work.desired(), work.goal.options));
  if (!SameDeeds(plan, work.plan)) return TellStale(work, {"secrets: what could not be read then is a change"});
  plan.digest = work.plan.digest;  // it is the plan that was read
  work.plan = std::move(plan);
  work.effective = TRY(reconcile::EffectiveTopology(work.desired(), work.world.applied, work.goal.options));
  return exit_code::kDone;
}

// Where the file asks for a resource; empty where it does not.
std::string PlaceOf(const Work& work, const Address& address) {
  if (work.desired() == nullptr) return "";
  const auto in = [&](const auto& resources) {
    const auto found = resources.find(address.name);
    if (found == resources.end()) return std::string();
    return reconcile::ExactPlaceText(reconcile::FindPlace(found->second.places, ""), work.desired()->files);
  };
  switch (address.kind) {
    case Kind::kNetwork:
      return in(work.desired()->networks);
    case Kind::kVolume:
      return in(work.desired()->volumes);
    case Kind::kService:
    case Kind::kContainer:
      return in(work.desired()->services);
    case Kind::kTopology:
      break;
  }
  return "";
}

// True where the plan may run.
bool Agreed(const Work& work) {
  const bool intrusive = std::ranges::any_of(work.plan.changes, [](const reconcile::Change& change) {
    return change.action == Action::kDestroy || change.action == Action::kReplace || change.action == Action::kRestart;
  });
  if (!intrusive || work.arguments().Has("yes") || !work.console().can_ask()) return true;
  if (OutputFormOf(work.arguments()) != OutputForm::kText || !work.console().out_is_terminal()) {
    work.console().Err(reconcile::Explain(work.plan,
                                          work.desired() ? work.desired()->files : std::vector<std::string>{},
                                          {.colour = work.console().colour_err()}));
  }
  return work.console().Ask("Do this?");
}

std::vector<std::string> FilesOf(const Work& work) {
  return work.desired() != nullptr ? work.desired()->files : std::vector<std::string>{};
}

Outcome RunPlan(Work& work, const reconcile::Machinery& machinery, std::uint64_t revision) {
  const auto phase = work.timings.Time("carry it out");
  Progress progress(work.console(), work.plan, OutputFormOf(work.arguments()), work.arguments().Has("verbose"));
  reconcile::RunOptions options;
  options.revision = revision;
  options.parallelism = static_cast<unsigned>(work.arguments().Unsigned("parallelism"));
  options.timeout = work.arguments().Time("timeout");
  options.executed_suffices = work.quiet;
  if (!work.unstoppable) options.interrupt = &Interrupted();
  options.on_event = [&](const reconcile::Event& event) {
    if (!work.quiet) progress.On(event);
    work.timings.On(work.plan, event);
  };
  Outcome outcome = reconcile::Run(work.plan, work.desired(), machinery, work.store, options);
  progress.Finish();
  return outcome;
}

int ExitCodeOf(const Outcome& outcome, bool detailed) {
  if (outcome.interrupted) return exit_code::kInterrupted;
  if (outcome.ok()) return detailed ? exit_code::kChanges : exit_code::kDone;
  const auto only = [&](auto... codes) {
    return !outcome.failed.empty() && std::ranges::all_of(outcome.failed, [&](const auto& failure) {
      return ((failure.second.code == codes) || ...);
    });
  };
  if (only(ErrorCode::kUnhealthy, ErrorCode::kTimeout)) return exit_code::kUnhealthy;
  return only(ErrorCode::kLocked) ? exit_code::kLocked : exit_code::kError;
}

std::string_view ResultName(int code) {
  switch (code) {
    case exit_code::kDone:
    case exit_code::kChanges:
      return "applied";
    case exit_code::kUnhealthy:
      return "unhealthy";
    case exit_code::kInterrupted:
      return "interrupted";
    default:
      return "failed";
  }
}

// What came of an apply.
struct Executed {
  Outcome outcome;
  std::uint64_t revision = 0;
  int code = exit_code::kDone;
  [[nodiscard]] bool failed() const { return !outcome.ok() && !outcome.interrupted; }
};

std::string DocumentOf(const Work& work, const Executed& executed, std::string_view rollback = {}) {
  return reconcile::ApplyJson(work.plan, FilesOf(work), executed.outcome, executed.revision, ResultName(executed.code),
                              rollback);
}

// The one document of --output json is not printed here: a rollback may belong to it.
void Tell(const Work& work, const Executed& executed) {
  const auto& [outcome, revision, code] = executed;
  const std::string_view name = work.arguments().command().name;
  for (const auto& [step, error] : outcome.failed) {
    if (step >= work.plan.steps.size()) {
      work.console().Fail(name, error);
      continue;
    }
    const reconcile::Step& failed = work.plan.steps[step];
    work.console().Fail(name, Error(error).In(failed.Text()).In(PlaceOf(work, failed.key.address)));
  }
  switch (OutputFormOf(work.arguments())) {
    case OutputForm::kJson:
      return;
    case OutputForm::kJsonLines:
      work.console().Out(reconcile::FinishedEvent(work.plan, outcome, revision, ResultName(code)));
      return;
    case OutputForm::kText:
      break;
  }
  std::string line = work.world.project + ": ";
  if (outcome.ok()) {
    line += "done, revision " + std::to_string(revision);
  } else {
    line += std::string(ResultName(code)) + ": " + std::to_string(outcome.done) + " done, " +
            std::to_string(outcome.failed.size()) + " failed, " + std::to_string(outcome.skipped.size()) + " skipped";
    if (outcome.interrupted) line += "; the next apply goes on from here";
  }
  work.console().Out(line + "\n");
}

// Where nothing was to be done, json and jsonl still end with their result.
int TellNothingToDo(const Work& work) {
  const Outcome outcome;
  const OutputForm form = OutputFormOf(work.arguments());
  if (form == OutputForm::kJson) {
    work.console().Out(
        reconcile::ApplyJson(work.plan, FilesOf(work), outcome, work.world.applied.revision, "unchanged"));
  } else if (form == OutputForm::kJsonLines) {
    work.console().Out(reconcile::FinishedEvent(work.plan, outcome, work.world.applied.revision, "unchanged"));
  }
  return exit_code::kDone;
}

Result<> SavePlan(const Work& work) {
  if (!work.arguments().Has("out")) return {};
  return WriteSavedPlan(work.arguments(), work.world, work.desired(), work.goal.options, work.plan);
}

// The revision a failed apply goes back to: the newest one that was applied in full. None: there was none before.
Result<std::optional<spec::Topology>> RevisionBefore(Work& work, std::uint64_t failed) {
  const auto revisions = TRY(work.store.Revisions(work.world.project));
  const state::RevisionRow* best = nullptr;
  for (const state::RevisionRow& row : revisions) {
    if (row.number >= failed || row.state != state::RevisionState::kApplied) continue;
    if (best == nullptr || row.number > best->number) best = &row;
  }
  if (best == nullptr) return std::nullopt;
  spec::Topology before = TRY(spec::FromJson(best->spec_json));
  for (const std::string& line : spec::TakeContentsAsTheyAre(before, OutsideOfFiles())) work.console().Warn(line);
  return before;
}

// Who had the lock before may have taken the project away.
Result<> Admit(const Goal& goal, state::Store& store, const World& world) {
  if (goal.must_be_known) TRY(KnownProject(store, goal.project));
  return goal.admit ? goal.admit(store, world) : Result<>();
}

// Nobody else would remove that of a project of which there is nothing.
void LeaveNoLock(Work& work) {
  if (!work.world.known) work.lock.Remove(work.directories, work.world.project);
}
Error LeaveNoLock(Work& work, Error error) {
  LeaveNoLock(work);
  return error;
}

Result<> LookAndPlan(Work& work) {
  TRY(CheckAddresses(work.goal.options, work.desired(), work.world.applied));
  auto planner = TRY([&] {
    const auto phase = work.timings.Time("look at the machine");
    return Observe(work.world, work.probers, work.desired(), work.goal.options);
  }());
  TRY(reconcile::RecordSeen(work.store, work.world.project, work.world.observed.parts));
  {
    const auto phase = work.timings.Time("plan");
    work.plan = TRY(std::move(planner).MakePlan(work.world.observed.parts));
    work.effective = TRY(reconcile::EffectiveTopology(work.desired(), work.world.applied, work.goal.options));
  }
  return {};
}

Result<Work> Prepare(Context& context, Goal& goal) {
  const Directories directories = TRY(DirectoriesOf(context.arguments));
  goal.options.directories = directories;
  goal.options.destroy = !goal.desired;
  state::Store store = TRY(state::Store::Open(directories, state::Store::Access::kWrite));
  if (goal.must_be_known) TRY(KnownProject(store, goal.project));
  state::ProjectLock lock = TRY(TakeLock(context, directories, goal.project));
  World world = TRY(LoadWorldFor(goal.options, store, goal.project));
  if (const auto admitted = Admit(goal, store, world); !admitted) {
    if (!world.known) lock.Remove(directories, goal.project);  // nobody else would
    return Fail(admitted.error());
  }
  PinSecrets(context.console, directories, world, goal);
  Work work{context,          goal,   directories,      std::move(store), std::move(lock), Probers(directories),
            std::move(world), Plan{}, spec::Topology{}, Timings{}};
  if (const auto looked = LookAndPlan(work); !looked) return Fail(LeaveNoLock(work, looked.error()));
  return work;
}

// What fails beside all steps.
std::uint32_t NoStep(const Work& work) {
  return static_cast<std::uint32_t>(work.plan.steps.size());
}

// Whose data are to be deleted was found when the plan was made; somebody may have been asked since.
Result<> CheckDataStill(Work& work) {
  if (!work.goal.options.delete_data) return {};
  if (TRY(reconcile::VolumesOfOthers(work.store, work.world.project)) == work.world.taken.volumes) return {};
  return Fail(Error::Of(ErrorCode::kStale, "", work.world.project,
                        "the volumes of other projects have changed since the plan was made")
                  .Hint("once more, for a new one"));
}

// Records, runs and tells. What came through, but whose ports cannot be published or the like, has failed.
Result<Executed> Execute(Work& work, const reconcile::Machinery& machinery) {
  TRY(CheckDataStill(work));
  Executed executed;
  sys::AddressClaims claims;
  {
    const auto phase = work.timings.Time("record the intent");
    executed.revision = TRY(Record(work, claims));
  }
  if (work.goal.on_revision) work.goal.on_revision(executed.revision);
  if (work.goal.before) TRY(work.goal.before());
  executed.outcome = RunPlan(work, machinery, executed.revision);
  if (executed.outcome.ok()) {
    if (auto settled = Settle(work); !settled) {
      executed.outcome.failed.emplace_back(NoStep(work), std::move(settled).error());
      TRY(work.store.FinishRevision(work.world.project, executed.revision, state::RevisionState::kFailed));
    }
  }
  executed.code = ExitCodeOf(executed.outcome, work.arguments().Has("detailed-exitcode"));
  if (work.quiet) return executed;
  Tell(work, executed);
  if (work.arguments().Has("timings")) work.console().Err(work.timings.Text());
  return executed;
}

Result<int> NothingToDo(Work& work) {
  const auto settled = Settle(work);
  if (settled) {
    TRY(Confirm(work));
    return TellNothingToDo(work);
  }
  Executed executed{.outcome = {}, .revision = work.world.applied.revision, .code = exit_code::kError};
  executed.outcome.failed.emplace_back(NoStep(work), settled.error());
  Tell(work, executed);
  if (OutputFormOf(work.arguments()) == OutputForm::kJson) work.console().Out(DocumentOf(work, executed));
  return executed.code;
}

// Takes a failed apply back; its document, where one is asked for. The exit code stays that of the failure.
Result<std::string> GoBack(Work& work, const reconcile::Machinery& machinery, std::uint64_t failed) {
  // What went by the same name in its time has nothing to do with one that was to be new.
  auto before = work.quiet ? std::nullopt : TRY(RevisionBefore(work, failed));
  if (!work.quiet)
    work.console().Err(before ? "going back to the revision before\n"
                              : "there was no revision before: taking it all back\n");
  Goal back;
  back.project = work.goal.project;
  back.on_revision = work.goal.on_revision;
  back.desired = std::move(before);
  if (back.desired) (void)AddSecretDigests(work.directories, work.world.applied.topology, *back.desired);
  back.options.directories = work.directories;
  back.options.destroy = !back.desired;
  Work again{work.context,
             back,
             work.directories,
             std::move(work.store),
             std::move(work.lock),
             Probers(work.directories),
             World{},
             Plan{},
             spec::Topology{},
             Timings{},
             work.quiet,
             work.quiet};
  again.world = TRY(LoadWorld(again.store, back.project));
  auto planner = TRY(Observe(again.world, again.probers, again.desired(), back.options));
  again.plan = TRY(std::move(planner).MakePlan(again.world.observed.parts));
  again.effective = TRY(reconcile::EffectiveTopology(again.desired(), again.world.applied, back.options));
  if (!work.quiet && OutputFormOf(again.arguments()) != OutputForm::kJson) PrintPlan(again.context, again.plan, {});
  if (again.plan.empty() && !again.plan.HasChanges()) {
    TRY(Settle(again));
    return std::string();
  }
  const Executed executed = TRY(Execute(again, machinery));
  if (again.quiet && !executed.outcome.ok()) {
    Error error = executed.outcome.failed.empty() ? Error::Of(ErrorCode::kSystem, "", back.project, "it is there still")
                                                  : executed.outcome.failed.front().second;
    return Fail(std::move(error).Hint("`nucleus destroy " + back.project + "` takes away what is left"));
  }
  return DocumentOf(again, executed);
}

// The same for one that nobody wants half of: an interrupt, which may be why, does not cut it off. Nor does a lock that
// was not had before, for which it does not wait as long again.
Result<> TakeBack(Work& work, std::uint64_t failed) {
  constexpr std::chrono::milliseconds kPatience{2'000};
  const Actuators actuators = TRY(Actuators::Make(work.directories, {.time = kPatience}));
  (void)TRY(GoBack(work, actuators.With(work.probers), failed));
  return {};
}

Error NotTakenBack(Error error, const std::string& project, const Error& why) {
  if (error.cause.empty() && error.sys_errno != 0) error.cause = ErrnoName(error.sys_errno);
  error.cause += "; and '" + project + "' could not be taken back: " + why.Message();
  return std::move(error).Hint(why.hint);
}

// All that comes before the first change. The exit code, where it ends with that and has said why.
Result<std::optional<int>> BeforeAnyChange(Context& context, Work& work) {
  if (const int stale = CheckSaved(work); stale != exit_code::kDone) return stale;
  if (const int stale = TRY(RecordSecrets(work)); stale != exit_code::kDone) return stale;

  const std::vector<std::string> files = work.desired() != nullptr ? work.desired()->files : std::vector<std::string>{};
  if (OutputFormOf(context.arguments) != OutputForm::kJson) PrintPlan(context, work.plan, files);
  TRY(SavePlan(work));
  if (const int refused = Gates(context, work.plan); refused != exit_code::kDone) return refused;
  if (work.plan.empty() && !work.plan.HasChanges()) {
    const int code = TRY(NothingToDo(work));
    if (context.arguments.Has("timings")) context.console.Err(work.timings.Text());
    return code;
  }
  TRY(CheckMayStart(work, PatienceOf(work.arguments())));
  if (Interrupted()) return exit_code::kInterrupted;
  TRY(TellInterrupted(work));
  if (!Agreed(work)) {
    context.console.Err("nothing was changed\n");
    return Interrupted() ? exit_code::kInterrupted : exit_code::kError;
  }
  if (Interrupted()) return exit_code::kInterrupted;
  TRY(CheckPublishedPorts(
      work.world, work.desired() != nullptr ? &work.effective : nullptr));  // again: a person may have thought for long
  return std::nullopt;
}

}  // namespace

Result<> ConvergeQuietly(Context& context, Goal goal, const std::function<Result<>()>& after) {
  CatchSignals();
  Command command = *FindCommand("apply");
  command.name = context.arguments.command().name;
  Arguments arguments(command);
  for (const std::string_view option : {"state-dir", "runtime-dir", "lock-timeout"})
    if (context.arguments.Has(option)) arguments.Add(option, context.arguments.Value(option));
  Context quiet{arguments, context.console};
  Work work = TRY(Prepare(quiet, goal));
  work.quiet = true;
  if (work.plan.empty() && !work.plan.HasChanges()) return Settle(work);
  if (const auto may = CheckMayStart(work, PatienceOf(work.arguments())); !may)
    return Fail(LeaveNoLock(work, may.error()));
  if (Interrupted())
    return Fail(LeaveNoLock(work, Error::Of(ErrorCode::kInterrupted, "", work.world.project, "interrupted")));
  for (const auto& warning : work.plan.warnings)
    context.console.Warn(work.goal.by_options ? SaidOfOptions(work.plan, warning) : warning);
  const Actuators actuators = TRY(Actuators::Make(work.directories, PatienceOf(work.arguments())));
  const reconcile::Machinery machinery = actuators.With(work.probers);
  const Executed executed = TRY(Execute(work, machinery));
  if (executed.outcome.ok()) return after ? after() : Result<>();
  const std::string project = work.world.project;
  Error error = executed.outcome.interrupted ? Error::Of(ErrorCode::kInterrupted, "", project, "interrupted")
                                             : executed.outcome.failed.front().second;
  if (!work.goal.desired || work.goal.keeps_what_failed) return Fail(std::move(error));
  if (const auto back = TakeBack(work, executed.revision); !back)
    return Fail(NotTakenBack(std::move(error), project, back.error()));
  return Fail(std::move(error));
}

Result<int> Converge(Context& context, Goal goal) {
  if (context.arguments.Unsigned("parallelism") == 0) return UsageFault(context, "--parallelism: at least 1");
  CatchSignals();
  goal.options.directories = TRY(DirectoriesOf(context.arguments));
  if (goal.desired) TRY(CheckLimits(*goal.desired, goal.options));
  Work work = TRY(Prepare(context, goal));
  const auto ends = BeforeAnyChange(context, work);
  if (!ends) return Fail(LeaveNoLock(work, ends.error()));
  if (*ends) {
    LeaveNoLock(work);
    return **ends;
  }
  const Actuators actuators = TRY(Actuators::Make(work.directories, PatienceOf(work.arguments())));
  const reconcile::Machinery machinery = actuators.With(work.probers);
  const Executed executed = TRY(Execute(work, machinery));
  std::string rollback;
  if (executed.failed() && context.arguments.Value("on-failure") == "rollback") {
    auto back = GoBack(work, machinery, executed.revision);
    if (!back) context.console.Fail(context.arguments.command().name, back.error());
    rollback = std::move(back).value_or("");
  }
  if (OutputFormOf(context.arguments) == OutputForm::kJson) context.console.Out(DocumentOf(work, executed, rollback));
  return executed.code;
}

}  // namespace nucleus::cli
