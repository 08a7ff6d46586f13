// What one convergence (converge.hpp) works with.
#pragma once

#include "cli/converge.hpp"
#include "cli/timings.hpp"

namespace nucleus::cli {

// Everything one convergence holds on to, in the order in which it is had.
struct Work {
  Context& context;
  Goal& goal;
  Directories directories;
  state::Store store;
  state::ProjectLock lock;
  Probers probers;
  World world;
  reconcile::Plan plan;
  spec::Topology effective;  // what there is once the plan is carried out
  Timings timings;
  bool quiet = false;
  bool unstoppable = false;  // by an interrupt

  [[nodiscard]] const spec::Topology* desired() const { return goal.desired ? &*goal.desired : nullptr; }
  [[nodiscard]] const Arguments& arguments() const { return context.arguments; }
  [[nodiscard]] Console& console() const { return context.console; }
};

}  // namespace nucleus::cli
