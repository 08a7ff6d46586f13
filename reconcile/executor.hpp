// Runs a plan: steps in order of the graph, independent ones in parallel, intent journalled before and result after.
//
// A failed step skips what depends on it, and says which; the rest goes on. After Apply the part is probed again, and
// only the probe is believed. The revision is finished with the last of the resources, unless it was interrupted.
// Threads: Run() blocks; Events are delivered one at a time.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "reconcile/plan.hpp"
#include "state/parts/actuator.hpp"
#include "state/store.hpp"

namespace nucleus::reconcile {

struct Event {
  enum class Type : std::uint8_t { kStepStarted, kStepProgress, kStepDone, kStepFailed, kStepSkipped };
  Type type = Type::kStepStarted;
  std::uint32_t step = 0;       // index in Plan::steps
  std::string text;             // progress, or the error
  std::string skipped_because;  // the step that failed
  std::chrono::microseconds took{0};
};

struct Outcome {
  std::vector<std::pair<std::uint32_t, Error>> failed;
  std::vector<std::uint32_t> skipped;
  std::uint32_t done = 0;
  bool interrupted = false;
  [[nodiscard]] bool ok() const { return failed.empty() && skipped.empty() && !interrupted; }
};

struct Machinery {
  std::map<Part, Prober*> probers;
  std::map<Part, Actuator*> actuators;
  Waiter* waiter = nullptr;
};

struct RunOptions {
  std::uint64_t revision = 0;  // the number that BeginRevision gave
  unsigned parallelism = 4;
  Duration timeout{0};             // of every wait; 0: none
  bool executed_suffices = false;  // no wait for health or an end; what has ended by then is as good
  std::function<void(const Event&)> on_event;
  const std::atomic<bool>* interrupt = nullptr;  // set: no new step starts
};

bool IsWait(const Step& step);
// A wait for a service that is to run for a moment, which nobody need stand by for: it is looked at when that is over.
bool OnlySettles(const Step& step);

// The lock of the project is held by the caller.
Outcome Run(const Plan& plan, const spec::Topology* desired, const Machinery& machinery, state::Store& store,
            const RunOptions& options);

}  // namespace nucleus::reconcile
