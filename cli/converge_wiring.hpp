// The concrete actuators, for commands that change, and what puts a container together out of the four compilers:
// mounts, security, identity and names. With observe_wiring.hpp the only place that names actuators.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/observe_wiring.hpp"
#include "reconcile/executor.hpp"
#include "spec/core/lock_holder.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cli {

class Actuators {
 public:
  static Result<Actuators> Make(const Directories& directories, const LockPatience& patience);
  ~Actuators();
  Actuators(Actuators&&) noexcept;
  Actuators& operator=(Actuators&&) noexcept;

  // With these probers; both outlive it.
  [[nodiscard]] reconcile::Machinery With(const Probers& probers) const;

 private:
  struct Parts;
  explicit Actuators(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// NUCLEUS_SUPERVISOR, else nucleus-supervisor beside this program, else ../libexec/nucleus/nucleus-supervisor.
Result<std::string> SupervisorPath();

}  // namespace nucleus::cli
