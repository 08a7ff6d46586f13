#include "reconcile/executor.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <vector>

#include "dag/graph.hpp"
#include "reconcile/commit.hpp"
#include "reconcile/perform.hpp"

namespace nucleus::reconcile {

namespace {

dag::Graph GraphOf(const Plan& plan) {
  dag::Graph graph(plan.steps.size());
  for (dag::Node node = 0; node < plan.steps.size(); ++node) {
    for (const auto before : plan.steps[node].after) graph.AddEdge(before, node);
  }
  return graph;
}

constexpr std::size_t kMostWaits = 512;  // at a time: a thread each
constexpr std::size_t kFirstWaits = 4;   // that there are threads for from the beginning

using Clock = std::chrono::steady_clock;

// The threads' common ground. One mutex guards the queue, the outcome, and the order of events.
class Crew {
 public:
  Crew(const Plan& plan, const spec::Topology* desired, const Machinery& machinery, state::Store& store,
       const RunOptions& options)
      : plan_(plan),
        options_(options),
        all_waits_(static_cast<std::size_t>(std::ranges::count_if(plan.steps, IsWait))),
        workers_(std::min<std::size_t>(std::max(1u, options.parallelism), plan.steps.size() - all_waits_)),
        graph_(GraphOf(plan)),
        queue_(graph_),
        performer_(machinery, store, options),
        commits_(plan, desired, options.revision, store) {}

  Outcome Run() {
    {
      const std::lock_guard lock(mutex_);
      Hire(workers_ + std::min(all_waits_, kFirstWaits));
    }
    Work();
    for (auto& thread : hired_) thread.join();  // where there is nothing left to do for one, none hires another
    const auto told = [this](Result<> written) {
      if (!written)
        outcome_.failed.emplace_back(static_cast<std::uint32_t>(plan_.steps.size()), std::move(written.error()));
    };
    told(performer_.WriteResults());
    told(commits_.Finish(End()));
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
      const auto node = Take();
      StandBy();
      if (node) {
        commits_.WriteWhatIsDue(working_ == 0);
        ++running_;
        // One wakes one: everybody at once would only queue up at the mutex.
        if (MayTake() || (!settling_.empty() && minding_ == 0)) changed_.notify_one();
        Deliver({.type = Event::Type::kStepStarted, .step = *node, .text = {}, .skipped_because = {}});
        return node;
      }
      if (queue_.Exhausted()) {
        changed_.notify_all();
        return std::nullopt;
      }
      commits_.WriteWhatIsDue(working_ == 0);
      (void)performer_.WriteResults();
      // An interrupt comes by a signal handler, which can wake nobody.
      const bool soon = options_.interrupt != nullptr || commits_.pending();
      auto until = Clock::now() + std::chrono::milliseconds(soon ? 100 : 60'000);
      const bool minds = !settling_.empty();
      if (minds) until = std::min(until, settling_.front().due);
      minding_ += minds ? 1 : 0;
      changed_.wait_until(lock, until);
      minding_ -= minds ? 1 : 0;
    }
  }

  // The next step that may start, under the mutex: work as far as there are workers for it, waits as they come.
  std::optional<dag::Node> Take() {
    const auto now = Clock::now();
    while (const auto node = queue_.Pop()) {
      const Step& step = plan_.steps[*node];
      if (Settles(step)) {
        settling_.push_back({*node, now + kSettled});
      } else {
        (IsWait(step) ? waits_ : work_).push_back(*node);
      }
    }
    for (; !settling_.empty() && settling_.front().due <= now; settling_.pop_front())
      waits_.push_back(settling_.front().node);
    const auto from = [&](std::deque<dag::Node>& held, std::size_t& busy,
                          std::size_t most) -> std::optional<dag::Node> {
      if (held.empty() || busy >= most) return std::nullopt;
      const dag::Node node = held.front();
      held.pop_front();
      ++busy;
      return node;
    };
    if (const auto node = from(work_, working_, workers_)) return node;
    return from(waits_, waiting_, MostWaits());
  }

  // A wait holds no processor, but a thread, which must not be one of the workers'. Where the system gives no others,
  // there is one wait at a time all the same.
  [[nodiscard]] std::size_t MostWaits() const {
    const std::size_t threads = hired_.size() + 1;
    return threads > workers_ ? threads - workers_ : 1;
  }

  // While there is something to wait for, a thread is free for it: few waits last, but those may last long.
  void StandBy() {
    if (!(waits_.empty() && settling_.empty()) && waiting_ >= MostWaits())
      Hire(workers_ + std::min({waiting_ + 1, all_waits_, kMostWaits}));
  }

  // As many threads in all, the one that runs the plan among them; under the mutex.
  void Hire(std::size_t threads) {
    try {
      while (hired_.size() + 1 < threads) hired_.emplace_back([this] { Work(); });
    } catch (const std::system_error&) {
      // Those that there are will do.
    }
  }

  [[nodiscard]] bool Settles(const Step& step) const { return !options_.executed_suffices && OnlySettles(step); }

  [[nodiscard]] bool MayTake() const {
    return (!work_.empty() && working_ < workers_) || (!waits_.empty() && waiting_ < MostWaits());
  }

  // Whoever finished a step is the first to look for the next.
  void Finish(dag::Node node, const Result<>& result, std::chrono::microseconds took) {
    const std::lock_guard lock(mutex_);
    --running_;
    --(IsWait(plan_.steps[node]) ? waiting_ : working_);
    auto committed = result ? commits_.Done(node) : result;
    const bool asked = options_.interrupt != nullptr && options_.interrupt->load();
    if (!committed && asked && committed.error().code == ErrorCode::kInterrupted) {
      // A wait that was given up has not failed, and what comes after it is not skipped for that. Not so where another
      // command has stopped what was being started: nobody else ends this one.
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
  const std::size_t all_waits_, workers_;
  const dag::Graph graph_;
  dag::ReadyQueue queue_;
  Performer performer_;
  Commits commits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Outcome outcome_;
  std::deque<dag::Node> work_, waits_;  // ready, and out of the queue
  struct Settling {
    dag::Node node;
    Clock::time_point due;
  };
  std::deque<Settling> settling_;  // the same, but not to be looked at before; the first comes first
  std::size_t minding_ = 0;        // threads that sleep no longer than until one of them is due
  std::size_t running_ = 0, working_ = 0, waiting_ = 0;
  std::vector<std::jthread> hired_;  // and last: they use all the rest
};

}  // namespace

bool IsWait(const Step& step) {
  return step.verb == Verb::kWaitStarted || step.verb == Verb::kWaitHealthy || step.verb == Verb::kWaitCompleted;
}

bool OnlySettles(const Step& step) {
  if (step.verb != Verb::kWaitStarted) return false;
  const auto* process = std::get_if<ProcessWanted>(step.wanted.get());
  if (process == nullptr || !process->service) return false;
  const spec::Service& service = *process->service;
  return service.type != spec::ServiceType::kJob && !service.sd_notify && !service.readiness_tcp &&
         service.readiness_exec.empty();
}

Outcome Run(const Plan& plan, const spec::Topology* desired, const Machinery& machinery, state::Store& store,
            const RunOptions& options) {
  return Crew(plan, desired, machinery, store, options).Run();
}

}  // namespace nucleus::reconcile
