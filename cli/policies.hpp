// The policy files of services: checked when the desired state is read, and compiled when a container is.
//
// A file is hashed before it is parsed; what is compiled has the digest that was planned with, or it is refused.
// Nothing of a policy with a problem takes effect.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/seccomp_resolve.hpp"
#include "spec/load.hpp"
#include "spec/types.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::cli {

// All problems of all policies of a topology, each file read once; their places are in those files.
std::vector<spec::Problem> CheckPolicies(const spec::Topology& topology);

// What services demand of the machine that it runs on now: the lockdown of its kernel, a program for their network.
std::vector<spec::Problem> CheckMachine(const spec::Topology& topology);
// The same of one service, when it is started.
Result<> CheckLockdown(const spec::Service& service);

// "app.toml:6:8", where the rule of that path is in a policy; empty: it has none.
std::string PlaceOfLandlockRule(const std::string& policy, const std::string& path);

// What seccomp profiles are resolved with on this machine, for a container without capabilities.
policy::SeccompInputs MachineInputs();

struct Policies {
  std::optional<CapabilitySets> capabilities;
  std::optional<Landlock> landlock;
  std::vector<BpfInstruction> seccomp;
  std::uint32_t seccomp_flags = 0;
};
// cache: where compiled seccomp programs are kept, made where it is missing. kStale: a file is not the one of the plan.
// kUnsupported: the kernel cannot hold a policy that has to hold.
Result<Policies> CompilePolicies(const spec::Service& service, const std::string& cache);

}  // namespace nucleus::cli
