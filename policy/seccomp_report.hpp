// What seccomp profiles mean, and how two of them differ, for people: as text and as JSON ("format_version": 1). Pure.
//
// Both are of what a profile comes to with certain inputs (capabilities, kernel, architecture), see
// seccomp_resolve.hpp: rules that do not apply there are not in them.
#pragma once

#include "policy/seccomp_resolve.hpp"

namespace nucleus::policy {

// A call that two profiles treat differently.
struct SeccompDifference {
  enum class Kind : std::uint8_t {
    kOnlyFirst,   // the second lets it do nothing (allowed, perhaps with conditions, in the first only)
    kOnlySecond,  // the other way round
    kDiffers,     // another verdict, or other conditions
  };
  Kind kind = Kind::kDiffers;
  std::string call;
  std::string first, second;  // in words: "allow where arg0 == 2, else fail with EPERM"
  bool operator==(const SeccompDifference&) const = default;
};

struct SeccompDiff {
  std::vector<std::string> general;      // default verdict, architectures, flags: "default: allow -> kill process"
  std::vector<SeccompDifference> calls;  // sorted by name
  [[nodiscard]] bool empty() const { return general.empty() && calls.empty(); }
};

SeccompDiff DiffSeccomp(const ResolvedSeccomp& first, const ResolvedSeccomp& second);
std::string DiffText(const SeccompDiff& diff);  // "" where there is no difference
std::string DiffJson(const SeccompDiff& diff);

std::string ExplainText(const ResolvedSeccomp& profile);
std::string ExplainJson(const ResolvedSeccomp& profile);

}  // namespace nucleus::policy
