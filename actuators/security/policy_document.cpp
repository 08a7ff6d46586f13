#include "actuators/security/policy_document.hpp"

#include <array>
#include <cstdio>
#include <string_view>

#include "actuators/security/syscall_policy.hpp"
#include "spec/core/error.hpp"

namespace nucleus::security {

namespace {

std::string_view Word(Treatment treatment) {
  switch (treatment) {
    case Treatment::kAllow:
      return "allowed";
    case Treatment::kPermission:
      return "EPERM";
    case Treatment::kMissing:
      return "ENOSYS";
    case Treatment::kKill:
      return "killed";
    case Treatment::kArguments:
      return "by arguments";
  }
  return "";
}

std::string Test(unsigned argument, std::uint32_t mask, std::uint32_t value) {
  std::array<char, 64> text{};
  if (mask == 0xffffffffU) {
    std::snprintf(text.data(), text.size(), "arg%u = 0x%x", argument, value);
  } else {
    std::snprintf(text.data(), text.size(), "arg%u & 0x%x = 0x%x", argument, mask, value);
  }
  return text.data();
}

std::string ConditionText(const PolicyCondition& condition) {
  if (condition.mask == 0) return "otherwise";
  std::string text = Test(condition.argument, condition.mask, condition.value);
  if (condition.mask2 != 0) text += ", " + Test(condition.argument2, condition.mask2, condition.value2);
  return text;
}

}  // namespace

std::string PolicyDocument() {
  std::string text = "| calls | verdict | why |\n|---|---|---|\n";
  for (const PolicyRow& row : PolicyRows()) {
    text.append("| ").append(row.calls).append(" | ").append(Word(row.treatment)).append(" | ");
    text.append(row.reason).append(" |\n");
  }
  text += "\n| call | where (low 32 bits) | verdict | what and why |\n|---|---|---|---|\n";
  for (const PolicyCondition& condition : PolicyConditions()) {
    text.append("| ").append(condition.call).append(" | ").append(ConditionText(condition)).append(" | ");
    text.append(condition.error == 0 ? "allowed" : ErrnoName(condition.error)).append(" | ");
    text.append(condition.reason).append(" |\n");
  }
  return text;
}

}  // namespace nucleus::security
