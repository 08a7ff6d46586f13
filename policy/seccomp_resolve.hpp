// A profile for one container on one machine: what becomes of each call there. Pure.
//
// includes and excludes are decided, rules of the same call gathered, extra names added. The order of rules means
// nothing, as in libseccomp; so where two rules with different verdicts can both hold for a call, there is a problem to
// report, since libseccomp would quietly let the wider rule win ("allow ioctl" beside "refuse ioctl TIOCSTI"). Of
// several rules without conditions the strictest is taken, with a warning: Podman's profiles have such.
#pragma once

#include <array>
#include <map>

#include "policy/seccomp_profile.hpp"

namespace nucleus::policy {

#if defined(__x86_64__)
inline constexpr SeccompArch kNativeArch = SeccompArch::kX86_64;
#elif defined(__aarch64__)
inline constexpr SeccompArch kNativeArch = SeccompArch::kAarch64;
#else
#error "seccomp policies are not known for this architecture"
#endif

struct SeccompInputs {
  std::uint64_t capabilities = 0;  // what the container keeps in its bounding set, 1 << CAP_*
  KernelVersion kernel{6, 1};
  SeccompArch native = kNativeArch;
  std::vector<std::string> allow;  // --seccomp-allow: these calls are allowed, whatever the profile says of them
  bool operator==(const SeccompInputs&) const = default;
};

struct SeccompClause {
  std::vector<SeccompArg> args;  // all must hold, each index once; sorted by index
  SeccompVerdict verdict;
  bool operator==(const SeccompClause&) const = default;
};

struct ResolvedSeccomp {
  SeccompVerdict default_verdict;
  std::vector<SeccompArch> architectures;  // the native one first; calls of any other kill the process
  // At most one clause of a call holds for any arguments, or all that hold agree; where none does, the default.
  std::map<std::string, std::vector<SeccompClause>, std::less<>> calls;
  bool flag_log = false, flag_spec_allow = false;
  bool operator==(const ResolvedSeccomp&) const = default;

  [[nodiscard]] SeccompVerdict VerdictOf(std::string_view call, const std::array<std::uint64_t, 6>& args) const;
};

struct SeccompResolution {
  std::optional<ResolvedSeccomp> profile;
  std::vector<spec::Problem> problems;
};
SeccompResolution ResolveSeccomp(const SeccompProfile& profile, const SeccompInputs& inputs);

}  // namespace nucleus::policy
