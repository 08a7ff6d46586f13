// The default seccomp policy as one table: which system calls, what becomes of them, and why.
//
// The generator (generator.cpp) makes from it, while nucleus is built, both the program that containers get and the
// tables in docs/security.md. Calls that are not in the table are ENOSYS: what is new or obsolete then looks like a
// kernel that does not have it, for which programs have a fallback.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace nucleus::security {

enum class Treatment : std::uint8_t {
  kAllow,
  kPermission,  // EPERM: known programs ask for it, and live without
  kMissing,     // ENOSYS: as if the kernel were older; the caller falls back
  kKill,        // no program in a container has an honest use for it
  kArguments,   // depends on arguments: kConditions
};

struct PolicyRow {
  std::string_view calls;  // separated by blanks
  Treatment treatment = Treatment::kAllow;
  std::string_view reason;
};

// For a call of treatment kArguments: the first condition that holds decides. Only the low 32 bits of arguments count,
// as in the kernel. A condition without tests (mask 0, value 0) always holds: it is the last one of a call.
struct PolicyCondition {
  std::string_view call;
  std::uint8_t argument = 0;
  std::uint32_t mask = 0;
  std::uint32_t value = 0;
  std::uint8_t argument2 = 0;  // both must hold
  std::uint32_t mask2 = 0;
  std::uint32_t value2 = 0;
  int error = 0;  // 0: allowed
  std::string_view reason;
};

// Calls younger than the libseccomp of Debian 12, whose numbers are the same on every architecture.
struct NewCall {
  std::string_view name;
  std::uint32_t number = 0;
};

std::span<const PolicyRow> PolicyRows();
std::span<const PolicyCondition> PolicyConditions();
std::span<const NewCall> NewCalls();

}  // namespace nucleus::security
