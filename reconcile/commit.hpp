// Writes a resource to the store, or removes it, at the moment all of its own steps have succeeded.
// Not thread-safe: the executor guards it.
#pragma once

#include <map>
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
  // A step has succeeded. A job's completion is written here too.
  Result<> Done(std::uint32_t step);

  // Resources that changed without steps of their own (labels, published ports): written at the end, if all went well.
  // Errors come with the index of a step that they belong to, or the number of steps.
  std::vector<std::pair<std::uint32_t, Error>> FinishWithoutSteps(bool all_well);

 private:
  Result<> Write(const Address& address);
  Result<> ForgetJobsOf(const std::string& volume);

  const Plan& plan_;
  const spec::Topology* desired_;
  std::uint64_t revision_;
  state::Store& store_;
  std::set<Address> changed_;            // waits for a resource that stays as it is write nothing
  std::map<Address, std::size_t> left_;  // steps of a resource that have not succeeded yet
};

}  // namespace nucleus::reconcile
