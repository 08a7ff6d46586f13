#include "cli/converge_wiring.hpp"

#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "actuators/cgroup/apply.hpp"
#include "actuators/mounts/apply.hpp"
#include "actuators/netns/apply.hpp"
#include "actuators/process/apply.hpp"
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

Result<Actuators> Actuators::Make(const Directories& directories) {
  const std::string supervisor = TRY(SupervisorPath());
  return Actuators(std::unique_ptr<Parts>(new Parts{
      .cgroup = {},
      .netns = netns::NetnsActuator(directories),
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
  std::string self(PATH_MAX, '\0');
  const ssize_t size = ::readlink("/proc/self/exe", self.data(), self.size());
  if (size < 0) return FailSys("readlink", "/proc/self/exe");
  self.resize(static_cast<std::size_t>(size));
  const std::string directory = self.substr(0, self.rfind('/'));
  for (const char* place : {"/nucleus-supervisor", "/../libexec/nucleus/nucleus-supervisor"}) {
    if (::access((directory + place).c_str(), X_OK) == 0) return directory + place;
  }
  return Fail(Error::Of(ErrorCode::kNotFound, "find", "nucleus-supervisor", "it is not beside nucleus")
                  .Hint("build it, or say where it is with NUCLEUS_SUPERVISOR"));
}

}  // namespace nucleus::cli
