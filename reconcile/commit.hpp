// Writes a resource to the store, or removes it, once all of its own steps have succeeded: services several in one
// transaction, since each waits for the disk. Who is killed before has them adopted by the next apply, from what is
// there. Networks and volumes, on which others rest, and what is protected are written at once.
// Not thread-safe: the executor guards it.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "reconcile/plan.hpp"
#include "state/store.hpp"

namespace nucleus::reconcile {

class Commits {
 public:
  // Everything outlives it. desired null: nothing is desired any more.
  Commits(const Plan& plan, const spec::Topology* desired, std::uint64_t revision, state::Store& store);

  // A step is about to begin: a job that runs anew has not completed until it does.
  Result<> Begin(std::uint32_t step);
  // A step has succeeded. A job's completion is written here and now.
  Result<> Done(std::uint32_t step);
  // To be called before a step begins, and while there is none to begin. idle: nobody makes anything just now. What
  // cannot be written is tried again, and told by Finish() where it still cannot.
  void WriteWhatIsDue(bool idle);
  [[nodiscard]] bool pending() const { return !pending_.empty(); }
  // What is not written yet; and, if all went well, resources that changed without steps of their own (labels,
  // published ports). With it what has become of the revision; none: it stays begun.
  Result<> Finish(std::optional<state::RevisionState> end);

 private:
  void Add(const Address& address);
  [[nodiscard]] bool IsUrgent(const Address& address) const;
  Result<> Write();
  Result<> ForgetJobsOf(const std::string& volume);

  const Plan& plan_;
  const spec::Topology* desired_;
  std::uint64_t revision_;
  state::Store& store_;
  std::set<Address> changed_;            // waits for a resource that stays as it is write nothing
  std::map<Address, std::size_t> left_;  // steps of a resource that have not succeeded yet
  std::vector<state::Store::ResourceChange> pending_;
  std::chrono::steady_clock::time_point since_;  // of the first of them
};

}  // namespace nucleus::reconcile
