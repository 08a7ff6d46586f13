// The defaults of a container's confinement as plain data: capabilities, seccomp, Landlock. Pure.
// The lists and their reasons are in docs/security.md.
#pragma once

#include <span>

#include "spec/types.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::security {

struct SecurityInput {
  const spec::Service* service = nullptr;
  std::span<const MountOp> mounts;  // compiled: Landlock's rules follow what is mounted where
  Identity identity{};
  // What takes the place of a default; null: nothing does.
  const CapabilitySets* capabilities = nullptr;
  const Landlock* landlock = nullptr;
  std::span<const BpfInstruction> seccomp{};  // empty: the default profile
  std::uint32_t seccomp_flags = 0;
};

Result<Security> CompileSecurity(const SecurityInput& input);

// Whether a program of that identity is started with what a policy says; else why not, "caps_policy" in the trail.
Result<> CheckKept(const CapabilitySets& sets, const Identity& identity);

// Exposed for tests.
Landlock DefaultLandlock(std::span<const MountOp> mounts, bool production);

}  // namespace nucleus::security
