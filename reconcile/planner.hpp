// The planner. Pure: no I/O, no clock, no logging, no randomness; equal inputs give equal plans in any order of input.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "reconcile/plan.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"

namespace nucleus::reconcile {

struct Options {
  std::set<Address> targets;      // with what they depend on; empty: all
  std::set<Address> excludes;     // and what depends on them
  std::set<std::string> rerun;    // jobs to run again
  std::set<std::string> replace;  // services to replace although nothing changed
  bool destroy = false;           // desired is nothing
  bool delete_data = false;
  bool drift_only = false;  // `nucleus drift`: desired is what was applied, or what an apply that failed has begun
  Directories directories;
};

// What a plan is made from, but for what is seen of the parts.
struct Question {
  const spec::Topology* desired = nullptr;  // null with destroy
  const Applied* applied = nullptr;
  const Host* host = nullptr;
  const Taken* taken = nullptr;
  Options options;
};

// Planning in two moves, so that observation and plan speak of the same things and no work is done twice: what is to be
// looked at, and what is to be done about it. What the question points at outlives the planner, and so does what is
// seen. One thread at a time.
class Planner {
 public:
  // Errors: no address or subnet is left, or one that is asked for is taken.
  static Result<Planner> Prepare(Question question);
  ~Planner();
  Planner(Planner&&) noexcept;
  Planner& operator=(Planner&&) noexcept;

  // What every part of the desired and applied resources should be: the question to put to the probers. Keys of applied
  // resources that are not desired any more are included. Processes point at the services of the question's topologies.
  // Lent: whoever takes nodes out of it puts them back as they are before the plan is made.
  [[nodiscard]] std::map<PartKey, Wanted>& parts();

  // Errors: a protected resource would be destroyed or replaced; a published port is taken; a production service asks
  // for a limit the machine has no controller for. All of them before any step. What it was made from stays until the
  // planner ends: of many services, taking it apart takes as long as a fifth of the plan.
  Result<Plan> MakePlan(const Observations& seen) &&;

 private:
  struct Prepared;
  explicit Planner(std::unique_ptr<Prepared> prepared);
  std::unique_ptr<Prepared> prepared_;
};

struct Input {
  const spec::Topology* desired = nullptr;  // null with destroy
  const Applied* applied = nullptr;
  const Observed* observed = nullptr;
  const Taken* taken = nullptr;
  Options options;
};

// Both moves at once, where it is known what is seen.
Result<Plan> MakePlan(const Input& input);

// The first move alone; processes have services of their own.
Result<std::map<PartKey, Wanted>> WantedParts(const spec::Topology* desired, const Applied& applied, const Host& host,
                                              const Taken& taken, const Options& options);

}  // namespace nucleus::reconcile
