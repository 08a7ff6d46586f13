// What profiles mean, in words.
#include "policy/seccomp_report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using testing::Rule;
using testing::WithRules;

ResolvedSeccomp Resolved(const std::string& text) {
  const auto read = ReadSeccompProfile(text, "p.json");
  EXPECT_TRUE(read.profile) << testing::Lines(read.problems);
  if (!read.profile) return {};
  const auto resolution = ResolveSeccomp(*read.profile, {.native = SeccompArch::kX86_64, .allow = {}});
  EXPECT_TRUE(resolution.profile) << testing::Lines(resolution.problems);
  return resolution.profile.value_or(ResolvedSeccomp{});
}

TEST(SeccompReport, Explains) {
  const auto profile = Resolved(
      WithRules(Rule("write", "SCMP_ACT_ALLOW", "") + "," + Rule("read", "SCMP_ACT_ALLOW", "") + "," +
                    Rule("mount", "SCMP_ACT_KILL_PROCESS", "") + "," +
                    Rule("socket", "SCMP_ACT_ALLOW", "[0, 2, 0, 'SCMP_CMP_EQ'] [1, 15, 1, 'SCMP_CMP_MASKED_EQ']") +
                    "," + Rule("socket", "SCMP_ACT_ALLOW", "[0, 1, 0, 'SCMP_CMP_EQ']"),
                "SCMP_ACT_ERRNO"));
  EXPECT_EQ(ExplainText(profile), R"(Calls not named here: fail with EPERM
Architectures: SCMP_ARCH_X86_64; calls of any other kill the process
Flags: none

allow (2):
  read write

kill process (1):
  mount

by their arguments:
  socket: allow where arg0 == 1, or arg0 == 2 and arg1 & 15 == 1; else fail with EPERM
)");
  const auto json = nlohmann::json::parse(ExplainJson(profile));
  EXPECT_EQ(json["format_version"], 1);
  EXPECT_EQ(json["default"]["errno"], 1);
  EXPECT_EQ(json["calls"]["mount"][0]["action"], "SCMP_ACT_KILL_PROCESS");
  EXPECT_EQ(json["calls"]["socket"][0]["where"], "arg0 == 1");
}

TEST(SeccompReport, TellsDifferences) {
  const auto first = Resolved(WithRules(Rule("read", "SCMP_ACT_ALLOW", "") + "," + Rule("write", "SCMP_ACT_ALLOW", "") +
                                        "," + Rule("socket", "SCMP_ACT_ALLOW", "[0, 2, 0, 'SCMP_CMP_EQ']")));
  const auto second = Resolved(WithRules(Rule("read", "SCMP_ACT_ALLOW", "") + "," + Rule("ptrace", "SCMP_ACT_LOG", "") +
                                         "," + Rule("socket", "SCMP_ACT_ALLOW", "[0, 1, 0, 'SCMP_CMP_EQ']")));
  EXPECT_EQ(DiffText(DiffSeccomp(first, second)),
            "+ ptrace: fail with EPERM -> allow and log\n"
            "~ socket: allow where arg0 == 2; else fail with EPERM -> allow where arg0 == 1; else fail with EPERM\n"
            "- write: allow -> fail with EPERM\n");
  EXPECT_TRUE(DiffSeccomp(first, first).empty());
  EXPECT_EQ(DiffText({}), "");
  const auto json = nlohmann::json::parse(DiffJson(DiffSeccomp(first, second)));
  EXPECT_EQ(json["calls"][0]["kind"], "only_second");
  EXPECT_EQ(json["calls"][2]["call"], "write");
}

TEST(SeccompReport, RulesThatChangeNothingAreNoDifference) {
  const auto first = Resolved(WithRules(Rule("read", "SCMP_ACT_ERRNO", "")));
  EXPECT_TRUE(DiffSeccomp(first, Resolved(WithRules(""))).empty());
  const auto other = DiffSeccomp(first, Resolved(WithRules("", "SCMP_ACT_ALLOW")));
  EXPECT_EQ(DiffText(other), "~ default: fail with EPERM -> allow\n+ read: fail with EPERM -> allow\n");
}

}  // namespace
}  // namespace nucleus::policy
