#include "actuators/sys/syscall_names.hpp"

#include <algorithm>
#include <iterator>
#include <tuple>

namespace nucleus::sys {

namespace {

struct Named {
  std::uint32_t architecture, number;
  char name[36];  // and not where it is: more than a thousand addresses would be relocated at each start
};
// Sorted by architecture and number.
constexpr Named kNames[] = {
#include "syscall_names.inc"
};

std::tuple<std::uint32_t, std::uint32_t> KeyOf(const Named& named) {
  return {named.architecture, named.number};
}

}  // namespace

std::string_view SyscallName(std::uint32_t architecture, std::uint32_t number) {
  const auto* const found = std::ranges::lower_bound(kNames, std::tuple(architecture, number), {}, KeyOf);
  if (found == std::end(kNames) || KeyOf(*found) != std::tuple(architecture, number)) return "";
  return found->name;
}

std::optional<std::uint32_t> SyscallNumber(std::uint32_t architecture, std::string_view name) {
  const auto* const found = std::ranges::find_if(
      kNames, [&](const Named& named) { return named.architecture == architecture && named.name == name; });
  return found == std::end(kNames) ? std::nullopt : std::optional(found->number);
}

std::string SyscallText(std::uint32_t architecture, std::uint32_t number) {
  const auto name = SyscallName(architecture, number);
  return name.empty() ? "syscall_" + std::to_string(number & ~kX32CallBit) : std::string(name);
}

std::string_view ForeignAbi(std::uint32_t architecture, std::uint32_t number) {
  if (architecture == AUDIT_ARCH_I386) return "x86";
  if (architecture == AUDIT_ARCH_ARM) return "arm";
  if (architecture == AUDIT_ARCH_X86_64 && (number & kX32CallBit) != 0 && number != UINT32_MAX) return "x32";
  return architecture == kNativeArchitecture ? "" : "other";
}

}  // namespace nucleus::sys
