#include "reconcile/executor.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>

#include "dag/graph.hpp"
#include "reconcile/commit.hpp"
#include "reconcile/perform.hpp"
#include "spec/core/threads.hpp"

namespace nucleus::reconcile {

namespace {

dag::Graph GraphOf(const Plan& plan) {
  dag::Graph graph(plan.steps.size());
  for (dag::Node node = 0; node < plan.steps.size(); ++node) {
    for (const auto before : plan.steps[node].after) graph.AddEdge(before, node);
  }
  return graph;
}

constexpr std::size_t kMostWaits = 64;  // at a time

bool IsWait(const Step& step) {
  return step.verb == Verb::kWaitStarted || step.verb == Verb::kWaitHealthy || step.verb == Verb::kWaitCompleted;
}

// The threads' common ground. One mutex guards the queue, the outcome, and the order of events.
class Crew {
 public:
  Crew(const Plan& plan, const spec::Topology* desired, const Machinery& machinery, state::Store& store,
       const RunOptions& options)
      : plan_(plan),
        options_(options),
        workers_(std::max(1u, options.parallelism)),
        graph_(GraphOf(plan)),
        queue_(graph_),
        performer_(machinery, store, options),
        commits_(plan, desired, options.revision, store) {}

  Outcome Run() {
    // A wait holds no processor: it must not keep others from working.
    const auto waits = std::count_if(plan_.steps.begin(), plan_.steps.end(), IsWait);
    const auto wanted = workers_ + std::min<std::size_t>(static_cast<std::size_t>(waits), kMostWaits);
    RunTogether(std::clamp<std::size_t>(plan_.steps.size(), 1, wanted) - 1, [this] { Work(); });
    if (auto written = commits_.Finish(End()); !written)
      outcome_.failed.emplace_back(static_cast<std::uint32_t>(plan_.steps.size()), std::move(written.error()));
    std::sort(outcome_.skipped.begin(), outcome_.skipped.end());
    return std::move(outcome_);
  }

 private:
  void Work() {
    while (const auto node = Next()) {
      const auto begin = std::chrono::steady_clock::now();
      auto result = Begin(*node);
      if (result) {
        result = performer_.Perform(plan_.steps[*node], [&](std::string_view text) {
          Tell({.type = Event::Type::kStepProgress, .step = *node, .text = std::string(text), .skipped_because = {}});
        });
      }
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
      Finish(*node, result, took);
    }
  }

  Result<> Begin(dag::Node node) {
    const std::lock_guard lock(mutex_);
    return commits_.Begin(node);
  }

  // The next step to run; none when there will be no more.
  std::optional<dag::Node> Next() {
    std::unique_lock lock(mutex_);
    while (true) {
      if (options_.interrupt != nullptr && options_.interrupt->load()) {
        outcome_.interrupted = outcome_.interrupted || Left() > 0;
        changed_.notify_all();
        return std::nullopt;
      }
      if (const auto node = Take()) {
        commits_.WriteWhatIsDue(working_ == 0);
        ++running_;
        // One wakes one: everybody at once would only queue up at the mutex.
        if (MayTake()) changed_.notify_one();
        Deliver({.type = Event::Type::kStepStarted, .step = *node, .text = {}, .skipped_because = {}});
        return node;
      }
      if (queue_.Exhausted()) {
        changed_.notify_all();
        return std::nullopt;
      }
      commits_.WriteWhatIsDue(working_ == 0);
      // An interrupt comes by a signal handler, which can wake nobody.
      const bool soon = options_.interrupt != nullptr || commits_.pending();
      changed_.wait_for(lock, std::chrono::milliseconds(soon ? 100 : 60'000));
    }
  }

  // The next step that may start, under the mutex: waits as they come, work as far as there are workers for it.
  std::optional<dag::Node> Take() {
    while (const auto node = queue_.Pop()) (IsWait(plan_.steps[*node]) ? waits_ : work_).push_back(*node);
    const auto from = [&](std::deque<dag::Node>& held, std::size_t& busy,
                          std::size_t most) -> std::optional<dag::Node> {
      if (held.empty() || busy >= most) return std::nullopt;
      const dag::Node node = held.front();
      held.pop_front();
      ++busy;
      return node;
    };
    if (const auto node = from(work_, working_, workers_)) return node;
    return from(waits_, waiting_, kMostWaits);
  }

  [[nodiscard]] bool MayTake() const {
    return (!work_.empty() && working_ < workers_) || (!waits_.empty() && waiting_ < kMostWaits);
  }

  // Whoever finished a step is the first to look for the next.
  void Finish(dag::Node node, const Result<>& result, std::chrono::microseconds took) {
    const std::lock_guard lock(mutex_);
    --running_;
    --(IsWait(plan_.steps[node]) ? waiting_ : working_);
    auto committed = result ? commits_.Done(node) : result;
    if (!committed && committed.error().code == ErrorCode::kInterrupted) {
      // A wait that was given up has not failed, and what comes after it is not skipped for that.
      outcome_.interrupted = true;
      return;
    }
    if (committed) {
      ++outcome_.done;
      queue_.Done(node);
      if (commits_.pending()) changed_.notify_one();  // somebody sees to it that they are written soon
      Deliver({.type = Event::Type::kStepDone, .step = node, .text = {}, .skipped_because = {}, .took = took});
    } else {
      Deliver({.type = Event::Type::kStepFailed,
               .step = node,
               .text = committed.error().Message(),
               .skipped_because = {},
               .took = took});
      outcome_.failed.emplace_back(node, std::move(committed.error()));
      for (const auto skipped : queue_.Fail(node)) {
        outcome_.skipped.push_back(skipped);
        Deliver({.type = Event::Type::kStepSkipped,
                 .step = skipped,
                 .text = {},
                 .skipped_because = plan_.steps[node].Text()});
      }
    }
  }

  // One that was interrupted neither came through nor failed: it stays begun.
  [[nodiscard]] std::optional<state::RevisionState> End() const {
    if (outcome_.interrupted) return std::nullopt;
    return outcome_.ok() ? state::RevisionState::kApplied : state::RevisionState::kFailed;
  }

  [[nodiscard]] std::size_t Left() const {
    return plan_.steps.size() - outcome_.done - outcome_.failed.size() - outcome_.skipped.size() - running_;
  }

  void Tell(const Event& event) {
    const std::lock_guard lock(mutex_);
    Deliver(event);
  }
  void Deliver(const Event& event) {  // under the mutex
    if (options_.on_event) options_.on_event(event);
  }

  const Plan& plan_;
  const RunOptions& options_;
  const std::size_t workers_;
  const dag::Graph graph_;
  dag::ReadyQueue queue_;
  Performer performer_;
  Commits commits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Outcome outcome_;
  std::deque<dag::Node> work_, waits_;  // ready, and out of the queue
  std::size_t running_ = 0, working_ = 0, waiting_ = 0;
};

}  // namespace

Outcome Run(const Plan& plan, const spec::Topology* desired, const Machinery& machinery, state::Store& store,
            const RunOptions& options) {
  return Crew(plan, desired, machinery, store, options).Run();
}

}  // namespace nucleus::reconcile
