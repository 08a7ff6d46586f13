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

// "app.toml:6:8", where the rule of that path is in a policy; empty: it has none.
std::string PlaceOfLandlockRule(const std::string& policy, const std::string& path);

// What seccomp profiles are resolved with on this machine, for a container without capabilities.
policy::SeccompInputs MachineInputs();

// Those of its caps_policy, which it has. kStale: the file is not the one of the plan.
Result<CapabilitySets> CompileCapabilities(const spec::Service& service);

// Whether we could give these, which are of its caps_policy, to a program; else which of them we do not have, and where
// they are kept. Not for one in a user namespace of its own, where it has all anew. capabilities(7), capset(2); of what
// is kept in [bounding] alone, nobody is given more than we have, and nothing fails.
Result<> CheckHeldByUs(const spec::Service& service, const CapabilitySets& sets);

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
