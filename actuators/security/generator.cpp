// Compiles the default seccomp policy while nucleus is built.
//
//   profile-generator program    C++ initialisers of BpfInstruction, for default_profile.cpp
//   profile-generator document   the tables of docs/security.md
//   profile-generator names      initialisers {architecture, number, name}, for actuators/sys/syscall_names.cpp
//
// libseccomp gives the numbers of the calls' names on the architecture of the build, nothing else.
#include <linux/audit.h>
#include <seccomp.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>
#include <string>

#include "actuators/security/bpf.hpp"
#include "actuators/security/policy_document.hpp"
#include "actuators/security/syscall_policy.hpp"

namespace nucleus::security {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
#error "no default seccomp profile for this architecture"
#endif

// None for what this architecture does not have; those have negative numbers in libseccomp.
std::optional<std::uint32_t> Number(const std::string& name) {
  for (const NewCall& call : NewCalls()) {
    if (call.name == name) return call.number;
  }
  const int number = seccomp_syscall_resolve_name(name.c_str());
  if (number < 0) return std::nullopt;
  return static_cast<std::uint32_t>(number);
}

// A name that nobody knows is a typing error in the table, which would quietly refuse a call.
bool Known(const std::string& name) {
  return Number(name).has_value() || seccomp_syscall_resolve_name(name.c_str()) != __NR_SCMP_ERROR;
}

Verdict VerdictOf(Treatment treatment) {
  switch (treatment) {
    case Treatment::kAllow:
      return Verdict::Allow();
    case Treatment::kPermission:
      return Verdict::Errno(EPERM);
    case Treatment::kMissing:
      return Verdict::Errno(ENOSYS);
    case Treatment::kKill:
    case Treatment::kArguments:
      return Verdict::Kill();
  }
  return Verdict::Kill();
}

CallPolicy Conditional(const std::string& name) {
  CallPolicy policy{{}, Verdict::Kill()};
  for (const PolicyCondition& condition : PolicyConditions()) {
    if (condition.call != name) continue;
    const Verdict verdict = condition.error == 0 ? Verdict::Allow() : Verdict::Errno(condition.error);
    if (condition.mask == 0) {
      policy.otherwise = verdict;
      return policy;
    }
    Clause clause{{{condition.argument, condition.mask, condition.value}}, verdict};
    if (condition.mask2 != 0) clause.all.push_back({condition.argument2, condition.mask2, condition.value2});
    policy.clauses.push_back(clause);
  }
  return policy;
}

std::optional<FilterPolicy> Policy() {
  FilterPolicy policy;
  policy.architecture = kArchitecture;
  std::set<std::string> seen;
  for (const PolicyRow& row : PolicyRows()) {
    std::istringstream calls{std::string(row.calls)};
    for (std::string name; calls >> name;) {
      if (!Known(name) || !seen.insert(name).second) {
        std::fprintf(stderr, "%s: unknown, or twice in the table\n", name.c_str());
        return std::nullopt;
      }
      const auto number = Number(name);
      if (!number) continue;
      policy.calls[*number] =
          row.treatment == Treatment::kArguments ? Conditional(name) : CallPolicy{{}, VerdictOf(row.treatment)};
    }
  }
  return policy;
}

void PrintProgram(const std::vector<BpfInstruction>& program) {
  for (const BpfInstruction& i : program) std::printf("{0x%02x, %u, %u, 0x%08xU},\n", i.code, i.jt, i.jf, i.k);
}

// The architectures whose programs this machine runs, in the order of their numbers.
struct Abi {
  std::uint32_t audit, seccomp, first;
};
#if defined(__x86_64__)
constexpr Abi kAbis[] = {{AUDIT_ARCH_I386, SCMP_ARCH_X86, 0},
                         {AUDIT_ARCH_X86_64, SCMP_ARCH_X86_64, 0},
                         {AUDIT_ARCH_X86_64, SCMP_ARCH_X32, kX32Bit}};
#else
constexpr Abi kAbis[] = {{AUDIT_ARCH_ARM, SCMP_ARCH_ARM, 0}, {AUDIT_ARCH_AARCH64, SCMP_ARCH_AARCH64, 0}};
#endif

void PrintNames() {
  constexpr std::uint32_t kMost = 1024;
  for (const Abi& abi : kAbis) {
    for (std::uint32_t number = abi.first; number < abi.first + kMost; ++number) {
      char* known = seccomp_syscall_resolve_num_arch(abi.seccomp, static_cast<int>(number));
      std::string name = known != nullptr ? known : "";
      std::free(known);
      for (const NewCall& call : NewCalls()) {
        if (name.empty() && call.number == number - abi.first) name = call.name;
      }
      if (!name.empty()) std::printf("{0x%xU, 0x%xU, \"%s\"},\n", abi.audit, number, name.c_str());
    }
  }
}

}  // namespace
}  // namespace nucleus::security

int main(int argc, char** argv) {
  using namespace nucleus::security;
  const auto policy = Policy();
  if (!policy || argc != 2) return 1;
  if (std::strcmp(argv[1], "document") == 0) {
    std::fputs(PolicyDocument().c_str(), stdout);
  } else if (std::strcmp(argv[1], "names") == 0) {
    PrintNames();
  } else {
    PrintProgram(Assemble(*policy));
  }
  return 0;
}
