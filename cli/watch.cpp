#include "cli/watch.hpp"

#include <malloc.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <set>

#include "cli/converge.hpp"
#include "cli/notify.hpp"
#include "cli/secret_digests.hpp"
#include "cli/signals.hpp"
#include "cli/watch_calm.hpp"
#include "cli/watch_sources.hpp"
#include "reconcile/plan_digest.hpp"
#include "spec/core/text.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

using Millis = WatchSources::Millis;

// Writes down which paths the desired state was read from.
spec::Outside Noting(spec::Outside outside, std::set<std::string>& paths) {
  const auto note = [&paths, directory = outside.working_directory](const std::string& path) {
    paths.insert(path.starts_with('/') ? path : directory + "/" + path);
  };
  outside.read_file = [note, read = outside.read_file](const std::string& path) {
    note(path);
    return read(path);
  };
  outside.path_kind = [note, kind = outside.path_kind](const std::string& path) {
    note(path);
    return kind(path);
  };
  outside.list_directory = [note, list = outside.list_directory](const std::string& path) {
    note(path + "/*");
    return list(path);
  };
  return outside;
}

// What it says of what failed, without what tells one try from the next.
std::string Complaints(const std::string& text) {
  std::string complaints;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.starts_with("nucleus:") || line.starts_with("\x1b[31mnucleus:")) complaints += std::string(line) + "\n";
  }
  return complaints;
}

struct Seen {
  using Last = std::optional<std::pair<std::uint64_t, state::RevisionState>>;
  bool known = false;
  std::uint64_t revision = 0;
  Last last;                // of the history
  bool unfinished = false;  // the revision was still being made
  reconcile::Plan plan;

  // Besides what has drifted.
  [[nodiscard]] bool DiffersFromFiles() const {
    return std::ranges::any_of(plan.changes, [](const reconcile::Change& change) { return !change.drift; });
  }
};

class Watch {
 public:
  Watch(Context& context, Directories directories)
      : context_(context),
        arguments_(context.arguments),
        directories_(std::move(directories)),
        calm_(context.arguments.Time("recheck").count()) {}

  Result<int> Run() {
    const int wake = TRY(CatchSignalsToStay());
    TRY(ReadFirst());
    sources_.emplace(TRY(WatchSources::Open(directories_, desired_.name, wake)));
    Tell("converging");
    read_again_ = true;  // what changed before it was listened for
    while (!Interrupted()) {
      TRY(Listen());
      if (const int code = Converged(); code != exit_code::kDone) {
        notify_.Stopping();
        return code;
      }
      TRY(AwaitNext());
    }
    notify_.Stopping();
    context_.console.Err(desired_.name + ": not watched any more; what runs goes on\n");
    return exit_code::kDone;
  }

 private:
  void Say(const std::string& text) { context_.console.Err(desired_.name + ": " + Printable(text) + "\n"); }

  // ---- files ----

  Result<spec::Topology> Read() {
    files_.clear();
    auto topology = LoadFiles(context_, Noting(OutsideOfFiles(), files_));
    if (!topology) return topology;
    for (const auto& [name, service] : topology->services)
      for (const auto& mount : service.secrets)
        if (mount.source.starts_with('/')) files_.insert(mount.source);
    return topology;
  }

  // What it warns of then is not told again by the next time.
  Result<> ReadFirst() {
    context_.console.Record(true);
    auto read = Read();
    problems_ = context_.console.StopRecording().err;
    context_.console.Err(problems_);
    desired_ = TRY(std::move(read));
    return {};
  }

  // Until nothing has changed since it was listened for: what the files newly name as well.
  void ReadWhatChanged() {
    while (std::exchange(read_again_, false)) {
      const auto before = files_;
      ReadAgain();
      if (files_ != before && !Listen()) return;
    }
  }

  // Keeps what was read last where there is something wrong, and says so once.
  void ReadAgain() {
    context_.console.Record(true);
    auto read = Read();
    const std::string problems = context_.console.StopRecording().err;
    if (read && read->name != desired_.name)
      read = Fail(Error::Of(ErrorCode::kInvalid, "", "the files", "they are about '" + read->name + "' now")
                      .Hint("a watch keeps to the project it began with: start another one"));
    std::string said = problems;
    if (!read) said += read.error().Message();
    if (said != problems_ && !said.empty()) {
      context_.console.Err(problems);
      if (!read) {
        context_.console.Fail("apply", read.error());
        Say("what was read before goes on being kept");
      }
    }
    problems_ = said;
    unreadable_ = !read.has_value();
    if (!read) return;
    const bool changed = spec::ToJson(*read) != spec::ToJson(desired_);
    desired_ = *std::move(read);
    if (changed) TakeUp();
  }

  // ---- looking ----

  Result<> Listen() {
    if (const auto listening = sources_->Want(files_, left_ ? nullptr : &desired_); !listening && !deaf_) {
      deaf_ = true;
      context_.console.Warn("not all changes are noticed at once: " + listening.error().Message() +
                            (listening.error().hint.empty() ? "" : "; " + listening.error().hint));
    }
    // What came before is seen by the look that follows.
    const auto before = TRY(sources_->Wait(WatchSources::Now()));
    if (before.desired) read_again_ = true;
    return {};
  }

  Result<Seen::Last> LastRevision(state::Store& store) {
    const auto last = TRY(store.LastRevision(desired_.name));
    return last ? Seen::Last(std::pair(last->number, last->state)) : std::nullopt;
  }

  Result<Seen> Look() {
    state::Store store = TRY(state::Store::Open(directories_, state::Store::Access::kRead));
    reconcile::Options options = TRY(PlanOptionsOf(arguments_));
    const Seen::Last last = TRY(LastRevision(store));
    World world = TRY(LoadWorld(store, desired_.name));
    spec::Topology desired = desired_;
    (void)AddSecretDigests(directories_, world.applied.topology, desired);
    TRY(CheckAddresses(options, &desired, world.applied));
    auto planner = TRY(Observe(world, Probers(directories_), &desired, options));
    const bool is_done =
        !last || (last->first == world.applied.revision && last->second != state::RevisionState::kApplying);
    return Seen{.known = world.known,
                .revision = world.applied.revision,
                .last = last,
                .unfinished = !is_done,
                .plan = TRY(std::move(planner).MakePlan(world.observed.parts))};
  }

  Result<Seen> LookInTime() {
    const Millis began = WatchSources::Now();
    auto seen = Look();
    calm_.Looked(began, WatchSources::Now());
    return seen;
  }

  // ---- whose word is the last ----

  // Whether another command is making something of the project: what, is not to be seen before it is done.
  // A command that was killed in the midst of it is at work no more.
  Result<bool> OthersAreAtWork(const Seen& seen) {
    if (!revision_ || seen.revision == *revision_ || !seen.unfinished) return false;
    if (state::ProjectLock::IsHeld(directories_, desired_.name)) return true;
    state::Store store = TRY(state::Store::Open(directories_, state::Store::Access::kRead));
    return TRY(LastRevision(store)) != seen.last;
  }

  // Whether another command has made something else of the project than the files say.
  bool TakenByOthers(const Seen& seen) {
    if (!revision_) return false;
    if (!seen.known) return Leave("destroyed by another command");
    if (seen.revision == *revision_) return left_;
    if (seen.DiffersFromFiles()) return Leave("changed by another command, revision " + std::to_string(seen.revision));
    if (left_) Say("as the files say again, revision " + std::to_string(seen.revision));
    revision_ = seen.revision;
    left_ = false;
    return false;
  }

  bool Leave(const std::string& why) {
    if (!left_) {
      Say(why + ": left alone until its files change, or SIGHUP");
      Tell("left alone, " + why);
    }
    return left_ = true;
  }

  // The files' word is the last again, whatever was.
  void TakeUp() {
    left_ = false;
    revision_.reset();
    complaints_.clear();
    calm_.Forget();
  }

  // ---- converging ----

  // Looks, does what there is to do, and looks again, until there is nothing more, or it has to wait.
  int Converged() {
    while (!Interrupted()) {
      ReadWhatChanged();
      calm_.AwaitNothing();
      const auto seen = LookInTime();
      if (!seen) {
        Failed(Sha256::Of("look"), seen.error());
        return exit_code::kDone;
      }
      if (OthersAreAtWork(*seen).value_or(false)) {
        calm_.Heard(WatchSources::Now());
        return exit_code::kDone;
      }
      const bool was_left = left_;
      if (TakenByOthers(*seen)) return exit_code::kDone;
      if (was_left) {  // and little was listened to
        if (!Listen()) return exit_code::kDone;
        continue;
      }
      if (!seen->plan.HasChanges() && seen->plan.empty()) {
        Settled(*seen);
        return exit_code::kDone;
      }
      const Digest work = reconcile::WorkDigestOf(seen->plan);
      if (!calm_.MayTry(work, WatchSources::Now())) {
        calm_.Await(work);
        return exit_code::kDone;
      }
      const int code = Try(work);
      // Asked to end, as a manager of services asks: that is no failure of the watch, wherever it is.
      if (code == exit_code::kInterrupted && InterruptedBy() == SIGTERM) return exit_code::kDone;
      if (code == exit_code::kInterrupted || declined_) return code;
      if (!Listen()) return exit_code::kDone;
    }
    return exit_code::kDone;
  }

  // To a manager that was told once that all is well, every word says as well that a reload is over.
  void Tell(const std::string& status) {
    const std::string line = desired_.name + ": " + status;
    ready_ ? notify_.Ready(line) : notify_.Status(line);
  }

  void Settled(const Seen& seen) {
    if (!ready_) Say("watched, revision " + std::to_string(seen.revision));
    revision_ = seen.revision;
    complaints_.clear();
    ready_ = true;
    Tell(unreadable_ ? "as its files said before; they cannot be read now"
                     : "as its files say, revision " + std::to_string(seen.revision));
  }

  // Says it once, and tries again after a while.
  void Failed(const Digest& what, const Error& error) {
    calm_.Tried(what, WatchSources::Now());
    calm_.Await(what);
    const std::string text = error.Message();
    Tell(text);
    if (text == complaints_) return;
    complaints_ = text;
    context_.console.Fail("apply", error);
  }

  int Try(const Digest& work) {
    const bool again = !complaints_.empty();
    begun_ = false;
    if (!ready_) Tell("converging");
    Context context{arguments_, context_.console};
    context_.console.Record(again);
    Result<int> code = [&] {
      const Notify::KeepAlive alive(notify_);
      return Converge(context, GoalNow());
    }();
    if (!code && code.error().code == ErrorCode::kStale) code = exit_code::kStale;  // another command was quicker
    if (!code) context_.console.Fail("apply", code.error());
    const auto said = context_.console.StopRecording();
    calm_.Tried(work, WatchSources::Now());
    const std::string complaints = Complaints(said.err);
    const int result = code.value_or(exit_code::kError);
    declined_ = result == exit_code::kError && complaints.empty() && !again;
    // In vain for the same reason: that was told.
    if (again && (result == exit_code::kDone || complaints != complaints_)) {
      context_.console.Out(said.out);
      context_.console.Err(said.err);
    }
    complaints_ = result == exit_code::kDone ? "" : complaints;
    Remark(result, again);
    return result;
  }

  void Remark(int result, bool again) {
    if (result == exit_code::kDone || result == exit_code::kInterrupted || result == exit_code::kStale) return;
    Tell(complaints_.substr(0, complaints_.find('\n')));
    if (begun_ && arguments_.Value("on-failure") == "rollback") {
      (void)Leave("taken back, because it failed");
    } else if (!again && !declined_) {
      Say("tries again, less and less often");
    }
  }

  Goal GoalNow() {
    Goal goal;
    goal.project = desired_.name;
    goal.desired = desired_;
    goal.origin = state::Origin::kFiles;
    if (auto options = PlanOptionsOf(arguments_)) goal.options = *std::move(options);
    goal.admit = [this](state::Store&, const World& world) -> Result<> {
      if (!revision_ || (world.known && world.applied.revision == *revision_)) return {};
      return Fail(ErrorCode::kStale, "", desired_.name, "another command has changed it meanwhile");
    };
    goal.on_revision = [this](std::uint64_t revision) {
      revision_ = revision;
      begun_ = true;
      // It was asked at the first time, if it was to be.
      if (!arguments_.Has("yes")) arguments_.Add("yes", "");
    };
    return goal;
  }

  // ---- waiting ----

  Result<> AwaitNext() {
    ::malloc_trim(0);
    while (!Interrupted()) {
      const auto heard = TRY(sources_->Wait(NextWaking()));
      const Millis now = WatchSources::Now();
      if (heard.machine_gone)
        return Fail(Error::Of(ErrorCode::kNotFound, "", desired_.name, "the machine of the user it lived in has ended")
                        .Hint("start the watch again: another one is made"));
      if (TakeReread()) {
        notify_.Reloading();
        Say("reads its files again");
        read_again_ = true;
        TakeUp();
        return {};
      }
      read_again_ = read_again_ || heard.desired;
      if (heard.desired || heard.machine || (heard.store && TRY(ChangedByOthers()))) calm_.Heard(now);
      if (const auto due = calm_.Next(); due && now >= *due) {
        if (calm_.Rechecks(now)) read_again_ = true;
        return {};
      }
    }
    return {};
  }

  // The manager is told that all is well, in a back-off as at rest.
  std::optional<Millis> NextWaking() {
    const auto next = calm_.Next();
    if (!notify_.alive_every()) return next;
    const Millis now = WatchSources::Now();
    if (now >= alive_at_) {
      notify_.Alive();
      alive_at_ = now + notify_.alive_every()->count();
    }
    return next ? std::min(*next, alive_at_) : alive_at_;
  }

  // Of the changes to the store, most are about other projects.
  Result<bool> ChangedByOthers() {
    state::Store store = TRY(state::Store::Open(directories_, state::Store::Access::kRead));
    const auto last = TRY(store.LastRevision(desired_.name));
    return !revision_ || !last || last->number != *revision_;
  }

  Context& context_;
  Arguments arguments_;
  Directories directories_;
  Notify notify_;
  WatchCalm calm_;
  std::optional<WatchSources> sources_;
  spec::Topology desired_;
  std::set<std::string> files_;            // what it was read from
  std::optional<std::uint64_t> revision_;  // whose word was the last; none: the files' is, whatever was
  Millis alive_at_ = 0;                    // when its manager is told next that it is
  bool left_ = false;                      // to another command's word
  bool read_again_ = false;
  bool unreadable_ = false;            // as the files are now
  bool ready_ = false;                 // it was once as it is to be
  bool declined_ = false;              // by who was asked
  bool begun_ = false;                 // a revision, by the last try
  bool deaf_ = false;                  // it was said that not all is noticed
  std::string problems_, complaints_;  // that were told
};

}  // namespace

Result<int> WatchFiles(Context& context) {
  const Arguments& arguments = context.arguments;
  for (const std::string_view option : {"out", "expect", "detailed-exitcode", "rerun", "replace", "delete-data"})
    if (arguments.Has(option))
      return UsageFault(context, "--" + std::string(option) + " is for one time: not with --watch");
  if (OutputFormOf(arguments) == OutputForm::kJson)
    return UsageFault(context, "--output json is one document: --watch has text or jsonl");
  if (AbsoluteSources(arguments).empty())
    return UsageFault(context, "--watch reads its files again: what can be read once only is none to watch");
  return Watch(context, TRY(DirectoriesOf(arguments))).Run();
}

}  // namespace nucleus::cli
