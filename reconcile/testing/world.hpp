// A machine for tests of the planner: the fake kernel, what was applied to it, and the round of probe, plan and apply.
// The rounds are run one step after the other, in the plan's order; the store is a value in memory.
#pragma once

#include <functional>
#include <set>

#include "reconcile/planner.hpp"
#include "reconcile/testing/fake_kernel.hpp"

namespace nucleus::reconcile::testing {

class World {
 public:
  explicit World(std::string project = "shop");

  // null: nothing is desired.
  Result<Plan> MakePlan(const spec::Topology* desired, Options options = {});
  struct Ran {
    std::size_t done = 0;
    std::vector<std::pair<std::string, Error>> failed;
    std::vector<std::string> skipped;
    [[nodiscard]] bool ok() const { return failed.empty() && skipped.empty(); }
  };
  // stop_before: the machine loses its nucleus before that many steps were done; nothing but the finished is recorded.
  Ran Execute(const Plan& plan, const spec::Topology* desired, std::size_t stop_before = ~std::size_t{0});
  // Plan and execute; the plan must not be refused.
  Ran Converge(const spec::Topology* desired, const Options& options = {});

  [[nodiscard]] PartKey Key(Kind kind, const std::string& name, Part part) const;
  [[nodiscard]] PartKey Process(const std::string& service) const {
    return Key(Kind::kService, service, Part::kProcess);
  }

  FakeKernel kernel;
  Applied applied;
  Taken taken;
  Host host;
  Directories directories{"/var/lib/nucleus", "/run/nucleus"};

 private:
  Result<> Perform(const Step& step);
  void Record(const Plan& plan, const spec::Topology* desired, const Address& address);
};

}  // namespace nucleus::reconcile::testing
