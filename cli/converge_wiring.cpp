#include "cli/converge_wiring.hpp"

#include <cstdlib>

#include "actuators/cgroup/apply.hpp"
#include "actuators/mounts/apply.hpp"
#include "actuators/netns/apply.hpp"
#include "actuators/process/apply.hpp"
#include "actuators/sys/own_programs.hpp"
#include "cli/compile_launch.hpp"

namespace nucleus::cli {

struct Actuators::Parts {
  cgroup::CgroupActuator cgroup;
  netns::NetnsActuator netns;
  mounts::VolumeActuator volumes;
  process::ProcessActuator process;
};

Actuators::Actuators(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Actuators::~Actuators() = default;
Actuators::Actuators(Actuators&&) noexcept = default;
Actuators& Actuators::operator=(Actuators&&) noexcept = default;

Result<Actuators> Actuators::Make(const Directories& directories, const LockPatience& patience) {
  const std::string supervisor = TRY(SupervisorPath());
  return Actuators(std::unique_ptr<Parts>(new Parts{
      .cgroup = cgroup::CgroupActuator(directories),
      .netns = netns::NetnsActuator(directories, patience),
      .volumes = mounts::VolumeActuator(directories),
      .process = process::ProcessActuator(directories, LaunchCompiler(directories), supervisor),
  }));
}

reconcile::Machinery Actuators::With(const Probers& probers) const {
  reconcile::Machinery machinery;
  machinery.probers = probers.by_part();
  for (Actuator* actuator : {static_cast<Actuator*>(&parts_->cgroup), static_cast<Actuator*>(&parts_->netns),
                             static_cast<Actuator*>(&parts_->volumes), static_cast<Actuator*>(&parts_->process)}) {
    for (const Part part : actuator->Parts()) machinery.actuators[part] = actuator;
  }
  machinery.waiter = &parts_->process;
  return machinery;
}

Result<std::string> SupervisorPath() {
  const char* given = std::getenv("NUCLEUS_SUPERVISOR");
  if (given != nullptr && *given != '\0') return std::string(given);
  auto found = sys::ProgramOfOurs("nucleus-supervisor");
  if (!found) return Fail(std::move(found).error().Hint("build it, or say where it is with NUCLEUS_SUPERVISOR"));
  return found;
}

}  // namespace nucleus::cli
