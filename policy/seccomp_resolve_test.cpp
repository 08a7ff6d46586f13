// What a profile comes to on a machine.
#include "policy/seccomp_resolve.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <rapidcheck/gtest.h>

#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using testing::Lines;
using testing::Rule;
using testing::WithRules;

constexpr SeccompVerdict kAllow{SeccompAction::kAllow, 0};
constexpr SeccompVerdict kEperm{SeccompAction::kErrno, 1};
constexpr std::uint64_t kAdmin = std::uint64_t{1} << CAP_SYS_ADMIN;

SeccompResolution Resolve(const std::string& text, SeccompInputs inputs = {}) {
  inputs.native = SeccompArch::kX86_64;
  const auto read = ReadSeccompProfile(text, "p.json");
  EXPECT_TRUE(read.profile) << Lines(read.problems);
  if (!read.profile) return {};
  return ResolveSeccomp(*read.profile, inputs);
}

bool Applies(std::string_view scope, const SeccompInputs& inputs) {
  const auto resolution = Resolve(WithRules(Rule("mount", "SCMP_ACT_ALLOW", "", "," + std::string(scope))), inputs);
  return resolution.profile && resolution.profile->VerdictOf("mount", {}) == kAllow;
}

TEST(SeccompResolve, DecidesIncludesAndExcludes) {
  EXPECT_TRUE(Applies(R"("includes":{"caps":["CAP_SYS_ADMIN"]})", {.capabilities = kAdmin, .allow = {}}));
  EXPECT_FALSE(Applies(R"("includes":{"caps":["CAP_SYS_ADMIN"]})", {}));
  EXPECT_FALSE(Applies(R"("includes":{"caps":["CAP_SYS_ADMIN","CAP_BPF"]})", {.capabilities = kAdmin, .allow = {}}));
  EXPECT_FALSE(Applies(R"("excludes":{"caps":["CAP_SYS_ADMIN","CAP_BPF"]})", {.capabilities = kAdmin, .allow = {}}));
  EXPECT_TRUE(Applies(R"("excludes":{"caps":["CAP_SYS_ADMIN"]})", {}));
  EXPECT_TRUE(Applies(R"("includes":{"arches":["arm64","amd64"]})", {}));
  EXPECT_FALSE(Applies(R"("includes":{"arches":["s390x","x32"]})", {}));
  EXPECT_FALSE(Applies(R"("excludes":{"arches":["amd64"]})", {}));
  EXPECT_TRUE(Applies(R"("includes":{"minKernel":"4.8"})", {.kernel = {4, 8}, .allow = {}}));
  EXPECT_FALSE(Applies(R"("includes":{"minKernel":"4.8"})", {.kernel = {4, 7}, .allow = {}}));
  EXPECT_FALSE(Applies(R"("excludes":{"minKernel":"4.8"})", {.kernel = {5, 0}, .allow = {}}));
}

TEST(SeccompResolve, TakesTheArchitecturesThatThisMachineCanRun) {
  const auto arches = [](std::string_view more) {
    const auto resolution = Resolve(WithRules("", "SCMP_ACT_ERRNO", more));
    return resolution.profile ? resolution.profile->architectures : std::vector<SeccompArch>{};
  };
  using enum SeccompArch;
  EXPECT_EQ(arches(""), (std::vector{kX86_64}));
  EXPECT_EQ(arches(R"(,"architectures":["SCMP_ARCH_X86","SCMP_ARCH_AARCH64","SCMP_ARCH_X86_64"])"),
            (std::vector{kX86_64, kX86}));
  EXPECT_EQ(arches(R"(,"archMap":[{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]},
                       {"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86","SCMP_ARCH_X32"]}])"),
            (std::vector{kX86_64, kX32, kX86}));
  const auto foreign = Resolve(WithRules("", "SCMP_ACT_ERRNO", R"(,"architectures":["SCMP_ARCH_AARCH64"])"));
  EXPECT_FALSE(foreign.profile);
  EXPECT_EQ(Lines(foreign.problems),
            "p.json:1:1: the profile does not name this machine's architecture, SCMP_ARCH_X86_64: every call would be "
            "killed\n");
}

TEST(SeccompResolve, RefusesRulesThatCanBothHold) {
  const auto problems = [](const std::string& a, const std::string& b) {
    const auto resolution = Resolve(WithRules(a + "," + b));
    EXPECT_EQ(resolution.profile.has_value(), !testing::HasError(resolution.problems));
    return !resolution.profile;
  };
  const auto allow = [](std::string_view args) { return Rule("read", "SCMP_ACT_ALLOW", args); };
  const auto kill = [](std::string_view args) { return Rule("read", "SCMP_ACT_KILL", args); };
  EXPECT_TRUE(problems(allow(""), kill("[1, 5, 0, 'SCMP_CMP_EQ']")));
  EXPECT_TRUE(problems(kill("[1, 5, 0, 'SCMP_CMP_EQ']"), allow("")));
  EXPECT_TRUE(problems(allow("[0, 5, 0, 'SCMP_CMP_EQ']"), kill("[1, 5, 0, 'SCMP_CMP_EQ']")));
  EXPECT_TRUE(problems(allow("[1, 4, 0, 'SCMP_CMP_NE']"), kill("[1, 5, 0, 'SCMP_CMP_EQ']")));
  EXPECT_TRUE(problems(allow("[1, 4, 0, 'SCMP_CMP_GT']"), kill("[1, 6, 0, 'SCMP_CMP_LT']")));
  EXPECT_TRUE(problems(allow("[1, 1, 1, 'SCMP_CMP_MASKED_EQ']"), kill("[1, 2, 2, 'SCMP_CMP_MASKED_EQ']")));
  EXPECT_FALSE(problems(allow("[1, 5, 0, 'SCMP_CMP_NE']"), kill("[1, 5, 0, 'SCMP_CMP_EQ']")));
  EXPECT_FALSE(problems(allow("[1, 5, 0, 'SCMP_CMP_GT']"), kill("[1, 5, 0, 'SCMP_CMP_LE']")));
  EXPECT_FALSE(problems(allow("[1, 3, 1, 'SCMP_CMP_MASKED_EQ']"), kill("[1, 1, 0, 'SCMP_CMP_MASKED_EQ']")));
  EXPECT_FALSE(problems(allow("[1, 3, 1, 'SCMP_CMP_MASKED_EQ']"), kill("[1, 2, 0, 'SCMP_CMP_EQ']")));
  EXPECT_FALSE(problems(allow("[0, 7, 0, 'SCMP_CMP_EQ'] [1, 5, 0, 'SCMP_CMP_NE']"), kill("[1, 5, 0, 'SCMP_CMP_EQ']")));
}

TEST(SeccompResolve, TheStricterOfTwoPlainRulesHolds) {
  const auto resolution =
      Resolve(WithRules(Rule("setns", "SCMP_ACT_ALLOW", "") + "," + Rule("setns", "SCMP_ACT_KILL", "")));
  ASSERT_TRUE(resolution.profile);
  EXPECT_EQ(resolution.profile->VerdictOf("setns", {}).action, SeccompAction::kKillThread);
  EXPECT_NE(Lines(resolution.problems).find("warning: setns: /syscalls/0 (allow) and /syscalls/1 (kill thread) "),
            std::string::npos)
      << Lines(resolution.problems);
}

TEST(SeccompResolve, ExtraNamesAreAllowedWhateverTheProfileSays) {
  const auto resolution =
      Resolve(WithRules(Rule("ptrace", "SCMP_ACT_KILL", "[0, 16, 0, 'SCMP_CMP_EQ']")), {.allow = {"ptrace", "mount"}});
  ASSERT_TRUE(resolution.profile);
  EXPECT_EQ(resolution.profile->VerdictOf("ptrace", {16}), kAllow);
  EXPECT_EQ(resolution.profile->VerdictOf("mount", {}), kAllow);
  EXPECT_EQ(resolution.profile->VerdictOf("umount2", {}), kEperm);
}

TEST(SeccompResolve, ARepeatedIndexIsAnAlternative) {
  const auto resolution =
      Resolve(WithRules(Rule("read", "SCMP_ACT_ALLOW", "[0, 1, 0, 'SCMP_CMP_EQ'] [0, 2, 0, 'SCMP_CMP_EQ']")));
  ASSERT_TRUE(resolution.profile);
  EXPECT_EQ(resolution.profile->VerdictOf("read", {1}), kAllow);
  EXPECT_EQ(resolution.profile->VerdictOf("read", {2}), kAllow);
  EXPECT_EQ(resolution.profile->VerdictOf("read", {3}), kEperm);
}

TEST(SeccompResolve, WarnsOfHighBitsThatTheKernelDoesNotSee) {
  const auto warned = [](const std::string& rule, std::string_view otherwise) {
    return Lines(Resolve(WithRules(rule, otherwise)).problems).find("setting a high bit evades this") !=
           std::string::npos;
  };
  EXPECT_TRUE(warned(Rule("ioctl", "SCMP_ACT_ALLOW", "[1, 21522, 0, 'SCMP_CMP_NE']"), "SCMP_ACT_ERRNO"));
  EXPECT_TRUE(warned(Rule("ioctl", "SCMP_ACT_ERRNO", "[1, 21522, 0, 'SCMP_CMP_EQ']"), "SCMP_ACT_ALLOW"));
  EXPECT_FALSE(warned(Rule("ioctl", "SCMP_ACT_ALLOW", "[1, 21522, 0, 'SCMP_CMP_EQ']"), "SCMP_ACT_ERRNO"));
  EXPECT_FALSE(
      warned(Rule("ioctl", "SCMP_ACT_ERRNO", "[1, 4294967295, 21522, 'SCMP_CMP_MASKED_EQ']"), "SCMP_ACT_ALLOW"));
  EXPECT_FALSE(warned(Rule("read", "SCMP_ACT_ALLOW", "[1, 21522, 0, 'SCMP_CMP_NE']"), "SCMP_ACT_ERRNO"));
}

// Where a resolution is accepted, the order of the rules makes no difference.
RC_GTEST_PROP(SeccompResolve, RulesHaveNoOrder, ()) {
  const auto action = rc::gen::element<std::string>("SCMP_ACT_ALLOW", "SCMP_ACT_KILL", "SCMP_ACT_LOG");
  const auto op = rc::gen::element<std::string>("NE", "LT", "LE", "EQ", "GE", "GT");
  std::vector<std::string> rules;
  for (int i = *rc::gen::inRange(1, 5); i > 0; --i) {
    std::string args;
    for (int j = *rc::gen::inRange(0, 3); j > 0; --j) {
      args += "[" + std::to_string(j) + ", " + std::to_string(*rc::gen::inRange(1, 5)) + ", 0, 'SCMP_CMP_" + *op + "']";
    }
    rules.push_back(Rule("read", *action, args));
  }
  const auto join = [](const std::vector<std::string>& parts) {
    std::string text;
    for (const auto& part : parts) text += (text.empty() ? "" : ",") + part;
    return text;
  };
  const auto one = Resolve(WithRules(join(rules)));
  std::ranges::reverse(rules);
  const auto other = Resolve(WithRules(join(rules)));
  RC_ASSERT(one.profile.has_value() == other.profile.has_value());
  if (!one.profile) return;
  for (std::uint64_t a = 0; a < 6; ++a) {
    for (std::uint64_t b = 0; b < 6; ++b) {
      RC_ASSERT(one.profile->VerdictOf("read", {0, a, b}) == other.profile->VerdictOf("read", {0, a, b}));
    }
  }
}

}  // namespace
}  // namespace nucleus::policy
