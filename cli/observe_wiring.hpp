// The concrete probers, for commands that look. Links the *_probe targets only: what is made here can change nothing.
// Its sibling for commands that change is converge_wiring.hpp; the two are the only places that name actuators.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "actuators/netns/in_use.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"
#include "spec/load.hpp"
#include "state/parts/actuator.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {
class NetnsProber;
}

namespace nucleus::cli {

// One prober for each kind of part.
class Probers {
 public:
  explicit Probers(const Directories& directories);
  [[nodiscard]] const std::map<Part, Prober*>& by_part() const { return by_part_; }
  // What takes longest is looked at from now on: before a file is read, and, once its project is known, while the
  // question is made. In this order, once.
  void Begin() const;
  void BeginWith(const std::string& project) const;

 private:
  std::vector<std::unique_ptr<Prober>> owned_;
  std::map<Part, Prober*> by_part_;
  netns::NetnsProber* network_ = nullptr;
};

// What the machine can do; its routes without those over links of a project ("": of any), whose networks these are.
Result<Host> LookAtHost(const std::string& project, const std::vector<std::string>& networks = {});

// The addresses and subnets that a project has in the kernel, where the store knows nothing of it.
Result<netns::LeasesInUse> LeasesInUse(const Directories& directories, const std::string& project);

// spec::Outside::Real() with the routes of this machine.
spec::Outside OutsideOfFiles();

// "127.0.0.1:8080/tcp is held by nginx (pid 4711)" for each of these ports that is. may_be_ours: not of these where the
// holder is a program of a network in user space.
Result<std::vector<std::string>> HeldPorts(const std::vector<spec::PortForward>& ports,
                                           const std::function<bool(const spec::PortForward&)>& may_be_ours);

}  // namespace nucleus::cli
