#include "reconcile/perform.hpp"

#include <algorithm>

#include "state/parts/facts.hpp"

namespace nucleus::reconcile {

namespace {

std::string_view VerbName(Verb verb) {
  switch (verb) {
    case Verb::kApply:
      return "apply";
    case Verb::kUndo:
      return "undo";
    case Verb::kSignal:
      return "signal";
    case Verb::kWaitStarted:
      return "wait started";
    case Verb::kWaitHealthy:
      return "wait healthy";
    case Verb::kWaitCompleted:
      return "wait completed";
  }
  return "";
}

// Facts that a workload changes by itself, at any moment: whether it runs is what the waits are about.
bool MovesByItself(Part part, const std::string& fact) {
  return part == Part::kProcess && (fact == "state" || fact == "supervisor");
}

std::string Differences(Part part, const Facts& expected, const Facts& seen) {
  std::string text;
  const auto add = [&](const std::string& words) { text += (text.empty() ? "" : "; ") + words; };
  for (const auto& [name, value] : expected) {
    if (MovesByItself(part, name)) continue;
    const auto found = seen.find(name);
    if (found == seen.end()) {
      add(name + " is missing");
    } else if (found->second != value) {
      add(name + " is '" + found->second + "', should be '" + value + "'");
    }
  }
  for (const auto& [name, value] : seen) {
    if (expected.contains(name)) continue;
    add(name + (value == kGoneFact ? " is missing" : " is '" + value + "', should not be"));
  }
  return text;
}

Result<const ProcessWanted*> Process(const Step& step) {
  const auto* process = std::get_if<ProcessWanted>(step.wanted.get());
  if (process == nullptr) return Fail(ErrorCode::kInternal, VerbName(step.verb), step.Text(), "not a process");
  return process;
}

// Data of a persistent volume outlives its resource.
bool StaysAfterUndo(const Step& step) {
  if (step.key.part != Part::kDirectory || step.delete_data || !step.wanted) return false;
  return std::get<DirectoryWanted>(*step.wanted).type == spec::VolumeType::kPersistent;
}

}  // namespace

Performer::Performer(const Machinery& machinery, state::Store& store, const RunOptions& options)
    : machinery_(machinery), store_(store), options_(options) {
  for (const auto& [part, prober] : machinery.probers) probing_.try_emplace(prober, std::make_unique<std::mutex>());
}

Result<> Performer::Perform(const Step& step, const ProgressSink& progress) {
  switch (step.verb) {
    case Verb::kApply:
    case Verb::kUndo:
    case Verb::kSignal:
      return Change(step, progress);
    case Verb::kWaitStarted:
      return Wait(step, Milestone::kStarted);
    case Verb::kWaitHealthy:
      return Wait(step, Milestone::kHealthy);
    case Verb::kWaitCompleted:
      return Wait(step, Milestone::kCompleted);
  }
  return {};
}

// A failed step stays open in the journal, so that whatever it began is looked for.
Result<> Performer::Change(const Step& step, const ProgressSink& progress) {
  if (step.action == Action::kAdopt && step.verb == Verb::kApply) return Adopt(step);
  JournalResult result{.id = TRY(Intend(step)), .seen = {}};
  TRY(Act(step, progress));
  if (step.verb != Verb::kSignal) result.seen = {step.key, TRY(Verify(step))};
  Add(std::move(result));
  return {};
}

Result<std::uint64_t> Performer::Intend(const Step& step) {
  const std::lock_guard lock(journal_);
  const auto id = TRY(store_.JournalIntent(step.key, VerbName(step.verb), step.Text(), results_));
  results_.clear();
  return id;
}

void Performer::Add(JournalResult result) {
  const std::lock_guard lock(journal_);
  results_.push_back(std::move(result));
}

Result<> Performer::WriteResults() {
  const std::lock_guard lock(journal_);
  if (results_.empty()) return {};
  TRY(store_.JournalDone(results_));
  results_.clear();
  return {};
}

// It is there already, or leaves nothing there: looked at and written down, touched by nobody.
Result<> Performer::Adopt(const Step& step) {
  if (!step.wanted) return {};
  return store_.PutObservation(step.key, TRY(Verify(step)));
}

Result<> Performer::Act(const Step& step, const ProgressSink& progress) {
  if (step.verb == Verb::kSignal) {
    return machinery_.waiter->Signal(step.key, *TRY(Process(step)), step.signal);
  }
  const auto actuator = machinery_.actuators.find(step.key.part);
  if (actuator == machinery_.actuators.end()) {
    return Fail(ErrorCode::kInternal, VerbName(step.verb), step.Text(), "no actuator for this part");
  }
  if (step.verb == Verb::kApply) {
    if (!step.wanted) return Fail(ErrorCode::kInternal, "apply", step.Text(), "nothing is wanted of it");
    return actuator->second->Apply(step.key, *step.wanted, progress);
  }
  const Actuator::UndoOptions options{.delete_data = step.delete_data, .keep_log = step.action != Action::kDestroy};
  return actuator->second->Undo(step.key, step.wanted.get(), options, progress);
}

Result<Observation> Performer::Verify(const Step& step) {
  auto seen = TRY(ProbeAgain(step));
  if (seen.presence == Presence::kUnreadable) {
    return Fail(ErrorCode::kPermission, "probe", step.Text(), seen.detail);
  }
  if (step.verb == Verb::kUndo) {
    if (seen.presence == Presence::kPresent && !StaysAfterUndo(step)) {
      return Fail(ErrorCode::kSystem, "undo", step.Text(), "it is still there");
    }
    return Observation{};
  }
  if (seen.presence != Presence::kPresent) {
    return Fail(ErrorCode::kSystem, "apply", step.Text(), "it is not there after it was made");
  }
  const std::string differences = Differences(step.key.part, ExpectedFacts(*step.wanted), seen.facts);
  if (!differences.empty()) {
    return Fail(ErrorCode::kSystem, "apply", step.Text(), "the kernel says otherwise: " + differences);
  }
  return seen;
}

Result<Observation> Performer::ProbeAgain(const Step& step) {
  const auto prober = machinery_.probers.find(step.key.part);
  if (prober == machinery_.probers.end()) {
    return Fail(ErrorCode::kInternal, "probe", step.Text(), "no prober for this part");
  }
  ProbeRequest request{.project = step.key.project, .parts = {}, .only_asked = step.wanted != nullptr};
  if (step.wanted) request.parts.emplace(step.key, *step.wanted);
  const std::lock_guard lock(*probing_.at(prober->second));
  auto answer = TRY(prober->second->Probe(request));
  return answer[step.key];
}

// Waiting changes nothing, so an interrupt need not wait for its end.
Result<> Performer::Wait(const Step& step, Milestone milestone) {
  if (options_.executed_suffices) milestone = Milestone::kExecuted;
  using Clock = std::chrono::steady_clock;
  constexpr Duration kSlice{250};
  const auto* process = TRY(Process(step));
  const bool forever = options_.timeout == Duration{0};
  const auto end = Clock::now() + options_.timeout;
  while (true) {
    if (options_.interrupt != nullptr && options_.interrupt->load()) {
      return Fail(ErrorCode::kInterrupted, VerbName(step.verb), step.Text(), "interrupted");
    }
    const auto left = std::chrono::ceil<Duration>(end - Clock::now());
    const auto slice = forever ? kSlice : std::clamp(left, Duration{1}, kSlice);
    auto reached = machinery_.waiter->Wait(step.key, *process, milestone, slice);
    if (reached || reached.error().code != ErrorCode::kTimeout) return reached;
    (void)WriteResults();  // this may last
    if (forever || Clock::now() < end) continue;
    Error error = std::move(reached).error();
    error.cause = "not within " + FormatDuration(options_.timeout) + " (--timeout); " + error.cause;
    return Fail(std::move(error));
  }
}

}  // namespace nucleus::reconcile
