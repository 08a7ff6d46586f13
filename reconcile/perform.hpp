// One step of a plan, done: intent journalled, actuator or waiter called, the part probed again, the result written:
// with the next intent of any step, or by whoever has nothing to begin.
// Safe from several threads, each with a step of its own.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "reconcile/executor.hpp"

namespace nucleus::reconcile {

class Performer {
 public:
  Performer(const Machinery& machinery, state::Store& store, const RunOptions& options);  // all outlive it

  Result<> Perform(const Step& step, const ProgressSink& progress);
  // Results that are not written yet. What cannot be written is tried again.
  Result<> WriteResults();

 private:
  using JournalResult = state::Store::JournalResult;
  Result<std::uint64_t> Intend(const Step& step);
  void Add(JournalResult result);
  Result<> Change(const Step& step, const ProgressSink& progress);
  Result<> Adopt(const Step& step);
  Result<> Act(const Step& step, const ProgressSink& progress);
  Result<Observation> Verify(const Step& step);  // what there is now
  Result<> Wait(const Step& step, Milestone milestone);
  Result<Observation> ProbeAgain(const Step& step);

  const Machinery& machinery_;
  state::Store& store_;
  const RunOptions& options_;
  std::mutex journal_;
  std::vector<JournalResult> results_;
  std::map<Prober*, std::unique_ptr<std::mutex>> probing_;  // a prober serves one thread at a time
};

}  // namespace nucleus::reconcile
