// Capability policies: what of root's power a container keeps. capabilities(7).
//
//     [bounding]                       # each table has one key: keep
//     keep = ["NET_BIND_SERVICE"]      # with or without CAP_, in any letter case; [] drops all
//
// A set that is not given follows from the others. With B, P, E, I, A for the five sets:
//     A not given: none.
//     P not given: E, I and A together; where none of them is given: B (root in the container keeps what its bounding
//         set has), and none where that is not given either.
//     E not given: A where that is given, since the kernel raises these at execve(2); else P.
//     I not given: A. (So inheritable is empty unless it is asked for: CVE-2022-24769.)
//     B not given: P and I together.
// [ambient] keep = ["NET_BIND_SERVICE"] alone so means: all five sets hold exactly that.
//
// What the kernel refuses, or would take away without a word, is an error with its place: E and A must be in P, A in I,
// P and I in B. (The kernel allows more than B in P and I; the next execve(2) of root takes it away, so the policy
// would say what does not hold.) Unknown tables, keys and names are errors with the nearest known one. Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "spec/load.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::policy {

struct CapabilityPolicyRead {
  std::optional<CapabilitySets> sets;  // none where there are errors
  // Where the file keeps which: by the mask of each `keep`.
  std::vector<std::pair<std::uint64_t, spec::Place>> kept;
  std::vector<spec::Problem> problems;
};
// text: at most 256 KiB. production: dangerous capabilities are errors, and warnings otherwise.
CapabilityPolicyRead ReadCapabilityPolicy(std::string_view text, std::string_view file, bool production);

// The rules above for sets however they came about; empty where they hold, else one sentence each.
std::vector<std::string> CapabilityContradictions(const CapabilitySets& sets);

// What no container in production may keep, each with the reason: it reaches the machine, not just the container.
struct DangerousCapability {
  int number = 0;  // CAP_*
  std::string_view reason;
};
std::span<const DangerousCapability> DangerousCapabilities();

// The policy as TOML, all five tables; reads back as the same sets.
std::string CapabilityPolicyToml(const CapabilitySets& sets);

}  // namespace nucleus::policy
