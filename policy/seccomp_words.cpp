#include "policy/seccomp_words.hpp"

#include <array>
#include <cstdio>

#include "spec/core/error.hpp"

namespace nucleus::policy {

namespace {

constexpr Word<SeccompAction> kActions[] = {
    {"SCMP_ACT_ALLOW", SeccompAction::kAllow},
    {"SCMP_ACT_ERRNO", SeccompAction::kErrno},
    {"SCMP_ACT_KILL_PROCESS", SeccompAction::kKillProcess},
    {"SCMP_ACT_KILL_THREAD", SeccompAction::kKillThread},
    {"SCMP_ACT_KILL", SeccompAction::kKillThread},  // libseccomp: the same
    {"SCMP_ACT_TRAP", SeccompAction::kTrap},
    {"SCMP_ACT_LOG", SeccompAction::kLog},
};

constexpr Word<SeccompOp> kOperators[] = {
    {"SCMP_CMP_NE", SeccompOp::kNotEqual},           {"SCMP_CMP_LT", SeccompOp::kLess},
    {"SCMP_CMP_LE", SeccompOp::kLessOrEqual},        {"SCMP_CMP_EQ", SeccompOp::kEqual},
    {"SCMP_CMP_GE", SeccompOp::kGreaterOrEqual},     {"SCMP_CMP_GT", SeccompOp::kGreater},
    {"SCMP_CMP_MASKED_EQ", SeccompOp::kMaskedEqual},
};

constexpr Word<SeccompArch> kArches[] = {
    {"SCMP_ARCH_X86_64", SeccompArch::kX86_64},
    {"SCMP_ARCH_X32", SeccompArch::kX32},
    {"SCMP_ARCH_X86", SeccompArch::kX86},
    {"SCMP_ARCH_AARCH64", SeccompArch::kAarch64},
    {"SCMP_ARCH_ARM", SeccompArch::kArm},
    {"SCMP_ARCH_RISCV64", SeccompArch::kRiscv64},
    {"SCMP_ARCH_PPC64LE", SeccompArch::kPpc64le},
    {"SCMP_ARCH_PPC64", SeccompArch::kPpc64},
    {"SCMP_ARCH_PPC", SeccompArch::kPpc},
    {"SCMP_ARCH_S390X", SeccompArch::kS390x},
    {"SCMP_ARCH_S390", SeccompArch::kS390},
    {"SCMP_ARCH_MIPS", SeccompArch::kMips},
    {"SCMP_ARCH_MIPS64", SeccompArch::kMips64},
    {"SCMP_ARCH_MIPS64N32", SeccompArch::kMips64n32},
    {"SCMP_ARCH_MIPSEL", SeccompArch::kMipsel},
    {"SCMP_ARCH_MIPSEL64", SeccompArch::kMipsel64},
    {"SCMP_ARCH_MIPSEL64N32", SeccompArch::kMipsel64n32},
    {"SCMP_ARCH_PARISC", SeccompArch::kParisc},
    {"SCMP_ARCH_PARISC64", SeccompArch::kParisc64},
    {"SCMP_ARCH_LOONGARCH64", SeccompArch::kLoongarch64},
    {"SCMP_ARCH_M68K", SeccompArch::kM68k},
    {"SCMP_ARCH_SH", SeccompArch::kSh},
    {"SCMP_ARCH_SHEB", SeccompArch::kShEb},
};

constexpr Word<SeccompArch> kShortArches[] = {
    {"amd64", SeccompArch::kX86_64},
    {"x32", SeccompArch::kX32},
    {"x86", SeccompArch::kX86},
    {"386", SeccompArch::kX86},
    {"arm64", SeccompArch::kAarch64},
    {"arm", SeccompArch::kArm},
    {"riscv64", SeccompArch::kRiscv64},
    {"ppc64le", SeccompArch::kPpc64le},
    {"ppc64", SeccompArch::kPpc64},
    {"ppc", SeccompArch::kPpc},
    {"s390x", SeccompArch::kS390x},
    {"s390", SeccompArch::kS390},
    {"mips", SeccompArch::kMips},
    {"mips64", SeccompArch::kMips64},
    {"mips64n32", SeccompArch::kMips64n32},
    {"mipsel", SeccompArch::kMipsel},
    {"mipsel64", SeccompArch::kMipsel64},
    {"mipsel64n32", SeccompArch::kMipsel64n32},
    {"parisc", SeccompArch::kParisc},
    {"parisc64", SeccompArch::kParisc64},
    {"loong64", SeccompArch::kLoongarch64},
    {"loongarch64", SeccompArch::kLoongarch64},
    {"m68k", SeccompArch::kM68k},
    {"sh", SeccompArch::kSh},
    {"sheb", SeccompArch::kShEb},
};

std::string Number(std::uint64_t value) {
  if (value < 1024) return std::to_string(value);
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

}  // namespace

std::span<const Word<SeccompAction>> ActionWords() {
  return kActions;
}
std::span<const Word<SeccompOp>> OperatorWords() {
  return kOperators;
}
std::span<const Word<SeccompArch>> ArchWords() {
  return kArches;
}
std::span<const Word<SeccompArch>> ShortArchWords() {
  return kShortArches;
}

std::string VerdictText(const SeccompVerdict& verdict) {
  switch (verdict.action) {
    case SeccompAction::kKillProcess:
      return "kill process";
    case SeccompAction::kKillThread:
      return "kill thread";
    case SeccompAction::kTrap:
      return "signal SIGSYS";
    case SeccompAction::kErrno:
      return verdict.error == 0 ? "skip, as if done" : "fail with " + ErrnoName(verdict.error);
    case SeccompAction::kLog:
      return "allow and log";
    case SeccompAction::kAllow:
      return "allow";
  }
  return "";
}

std::string ArgText(const SeccompArg& arg) {
  const std::string name = "arg" + std::to_string(arg.index);
  switch (arg.op) {
    case SeccompOp::kNotEqual:
      return name + " != " + Number(arg.value);
    case SeccompOp::kLess:
      return name + " < " + Number(arg.value);
    case SeccompOp::kLessOrEqual:
      return name + " <= " + Number(arg.value);
    case SeccompOp::kEqual:
      return name + " == " + Number(arg.value);
    case SeccompOp::kGreaterOrEqual:
      return name + " >= " + Number(arg.value);
    case SeccompOp::kGreater:
      return name + " > " + Number(arg.value);
    case SeccompOp::kMaskedEqual:
      return name + " & " + Number(arg.value) + " == " + Number(arg.value_two);
  }
  return "";
}

std::optional<std::uint16_t> ErrnoNumber(std::string_view name) {
  for (std::uint16_t number = 1; number <= 133; ++number) {
    if (ErrnoName(number) == name) return number;
  }
  return std::nullopt;
}

bool SeccompArg::Holds(std::uint64_t argument) const {
  switch (op) {
    case SeccompOp::kNotEqual:
      return argument != value;
    case SeccompOp::kLess:
      return argument < value;
    case SeccompOp::kLessOrEqual:
      return argument <= value;
    case SeccompOp::kEqual:
      return argument == value;
    case SeccompOp::kGreaterOrEqual:
      return argument >= value;
    case SeccompOp::kGreater:
      return argument > value;
    case SeccompOp::kMaskedEqual:
      return (argument & value) == value_two;
  }
  return false;
}

std::optional<KernelVersion> ParseKernelVersion(std::string_view text) {
  const auto number = [&text]() -> std::optional<std::uint32_t> {
    std::uint32_t value = 0;
    std::size_t digits = 0;
    while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
      if (digits == 6) return std::nullopt;
      value = value * 10 + static_cast<std::uint32_t>(text[digits++] - '0');
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    return value;
  };
  const auto major = number();
  if (!major || !text.starts_with('.')) return std::nullopt;
  text.remove_prefix(1);
  const auto minor = number();
  if (!minor || (!text.empty() && text[0] != '.' && text[0] != '-' && text[0] != '+')) return std::nullopt;
  return KernelVersion{*major, *minor};
}

}  // namespace nucleus::policy
