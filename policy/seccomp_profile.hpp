// Seccomp profiles as Docker, Podman and the OCI runtime specification write them, as plain values.
//
// https://github.com/opencontainers/runtime-spec/blob/main/config-linux.md#seccomp, and Docker's additions to it:
// archMap, includes, excludes, comment, a single "name". Reading is pure and finds all problems at once, each with its
// line, column and JSON path ("/syscalls/3/args/0/op"). Unknown keys, actions, operators, architectures and
// capabilities are errors. Names of system calls are checked where the library that knows them is linked: see
// CheckSyscallNames() in seccomp_compile.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/load.hpp"

namespace nucleus::policy {

// From the strictest to the most permissive. TRACE and NOTIFY are refused: nothing of nucleus would answer them.
enum class SeccompAction : std::uint8_t { kKillProcess, kKillThread, kTrap, kErrno, kLog, kAllow };

struct SeccompVerdict {
  SeccompAction action = SeccompAction::kErrno;
  std::uint16_t error = 0;  // kErrno: what the call fails with, 0 .. 4095

  bool operator==(const SeccompVerdict&) const = default;
  // Whether this lets less happen than `other`. Two different errnos are no different in this.
  [[nodiscard]] bool StricterThan(const SeccompVerdict& other) const { return action < other.action; }
};

enum class SeccompOp : std::uint8_t { kNotEqual, kLess, kLessOrEqual, kEqual, kGreaterOrEqual, kGreater, kMaskedEqual };

struct SeccompArg {
  std::uint32_t index = 0;  // 0 .. 5
  SeccompOp op = SeccompOp::kEqual;
  std::uint64_t value = 0;      // kMaskedEqual: the mask
  std::uint64_t value_two = 0;  // kMaskedEqual: what the masked argument must be; else 0

  bool operator==(const SeccompArg&) const = default;
  [[nodiscard]] bool Holds(std::uint64_t argument) const;
};

enum class SeccompArch : std::uint8_t {
  kX86_64,  // NOLINT(readability-identifier-naming): as the architecture is called
  kX32,
  kX86,
  kAarch64,
  kArm,
  kRiscv64,
  kPpc64le,
  kPpc64,
  kPpc,
  kS390x,
  kS390,
  kMips,
  kMips64,
  kMips64n32,
  kMipsel,
  kMipsel64,
  kMipsel64n32,
  kParisc,
  kParisc64,
  kLoongarch64,
  kM68k,
  kSh,
  kShEb,
};

struct KernelVersion {
  std::uint32_t major = 0, minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};
// "4.8", or a whole release as uname(2) tells it, "6.18.44-fc".
std::optional<KernelVersion> ParseKernelVersion(std::string_view text);

// Where a rule holds (includes: all of it) or does not (excludes: any of it). Empty: everywhere, nowhere.
struct SeccompScope {
  std::uint64_t capabilities = 0;       // 1 << CAP_*
  std::vector<SeccompArch> arches;      // of the machine
  std::optional<KernelVersion> kernel;  // this one and later ones
  bool operator==(const SeccompScope&) const = default;
};

struct SyscallName {
  std::string text;
  spec::Place place;
  bool operator==(const SyscallName& other) const { return text == other.text; }
};

struct SeccompRule {
  std::vector<SyscallName> names;
  SeccompVerdict verdict;
  std::vector<SeccompArg> args;  // all must hold; where an index is repeated, any (as runc and crun have it)
  SeccompScope includes, excludes;
  std::string path;   // "/syscalls/3"
  spec::Place place;  // of the rule
  bool operator==(const SeccompRule& other) const {
    return names == other.names && verdict == other.verdict && args == other.args && includes == other.includes &&
           excludes == other.excludes;
  }
};

struct SeccompArchMap {
  SeccompArch architecture = SeccompArch::kX86_64;
  std::vector<SeccompArch> sub_architectures;
  bool operator==(const SeccompArchMap&) const = default;
};

struct SeccompProfile {
  SeccompVerdict default_verdict;
  std::vector<SeccompArch> architectures;  // empty, and arch_map too: the machine's own
  std::vector<SeccompArchMap> arch_map;
  std::vector<SeccompRule> rules;
  bool flag_log = false;         // SECCOMP_FILTER_FLAG_LOG
  bool flag_spec_allow = false;  // SECCOMP_FILTER_FLAG_SPEC_ALLOW
  std::string file;              // as the user named it, for messages
  bool operator==(const SeccompProfile& other) const {
    return default_verdict == other.default_verdict && architectures == other.architectures &&
           arch_map == other.arch_map && rules == other.rules && flag_log == other.flag_log &&
           flag_spec_allow == other.flag_spec_allow;
  }
};

struct SeccompRead {
  std::optional<SeccompProfile> profile;  // none where there are errors
  std::vector<spec::Problem> problems;    // errors and warnings, in the order of the file
};

// text: at most 1 MiB. file: for messages.
SeccompRead ReadSeccompProfile(std::string_view text, std::string_view file);

// The profile as OCI JSON; what ReadSeccompProfile makes of it is equal to the profile. Ends with a newline.
std::string SeccompProfileJson(const SeccompProfile& profile);

}  // namespace nucleus::policy
