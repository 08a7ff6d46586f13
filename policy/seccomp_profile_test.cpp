// Reading and writing of seccomp profiles.
#include "policy/seccomp_profile.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>

#include <chrono>

#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using testing::Lines;
using testing::Rule;
using testing::WithRules;

std::string ProfileProblems(std::string_view text) {
  const auto read = ReadSeccompProfile(text, "p.json");
  EXPECT_EQ(read.profile.has_value(), !testing::HasError(read.problems));
  return Lines(read.problems);
}

TEST(SeccompProfile, ReadsTheWholeSchema) {
  const auto read = ReadSeccompProfile(R"({
    "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "defaultErrno": "ENOSYS",
    "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"]},
                {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}],
    "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"],
    "syscalls": [
      {"names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": [], "comment": "", "includes": {}, "excludes": {}},
      {"name": "personality", "names": [], "action": "SCMP_ACT_LOG",
       "args": [{"index": 0, "value": 4294967295, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]},
      {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 22, "errno": "EINVAL",
       "args": [{"index": 0, "value": 2114060288, "valueTwo": 268435456, "op": "SCMP_CMP_MASKED_EQ"}],
       "includes": {"caps": ["CAP_SYS_ADMIN", "CAP_BPF"], "arches": ["amd64", "arm64"], "minKernel": "4.8"},
       "excludes": {"caps": ["CAP_MKNOD"], "arches": ["s390x"], "minKernel": "7.1"}}
    ]})",
                                       "p.json");
  ASSERT_TRUE(read.profile) << Lines(read.problems);
  EXPECT_EQ(Lines(read.problems), "");
  const SeccompProfile& p = *read.profile;
  EXPECT_EQ(p.default_verdict, (SeccompVerdict{SeccompAction::kErrno, 38}));
  EXPECT_TRUE(p.architectures.empty());
  ASSERT_EQ(p.arch_map.size(), 2U);
  EXPECT_EQ(p.arch_map[0].sub_architectures, (std::vector{SeccompArch::kX86, SeccompArch::kX32}));
  EXPECT_TRUE(p.flag_log);
  EXPECT_FALSE(p.flag_spec_allow);
  ASSERT_EQ(p.rules.size(), 3U);
  EXPECT_EQ(p.rules[0].names[1].text, "write");
  EXPECT_EQ(p.rules[0].names[1].place.line, 7U);
  EXPECT_EQ(p.rules[1].args[0].value, 0xffffffffU);
  const SeccompRule& clone = p.rules[2];
  EXPECT_EQ(clone.path, "/syscalls/2");
  EXPECT_EQ(clone.verdict, (SeccompVerdict{SeccompAction::kErrno, 22}));
  EXPECT_EQ(clone.args[0], (SeccompArg{0, SeccompOp::kMaskedEqual, 2114060288, 268435456}));
  EXPECT_EQ(clone.includes.capabilities, std::uint64_t{1} << CAP_SYS_ADMIN | std::uint64_t{1} << CAP_BPF);
  EXPECT_EQ(clone.includes.arches, (std::vector{SeccompArch::kX86_64, SeccompArch::kAarch64}));
  EXPECT_EQ(clone.includes.kernel, (KernelVersion{4, 8}));
  EXPECT_EQ(clone.excludes.kernel, (KernelVersion{7, 1}));
}

TEST(SeccompProfile, WritesWhatItReads) {
  const auto read = ReadSeccompProfile(
      WithRules(
          Rule("a", "SCMP_ACT_TRAP", "[0, 1, 0, 'SCMP_CMP_NE'] [5, 18446744073709551615, 8, 'SCMP_CMP_MASKED_EQ']") +
              "," + Rule("b", "SCMP_ACT_ERRNO", ""),
          "SCMP_ACT_LOG"),
      "p.json");
  ASSERT_TRUE(read.profile) << Lines(read.problems);
  const auto again = ReadSeccompProfile(SeccompProfileJson(*read.profile), "p.json");
  ASSERT_TRUE(again.profile) << Lines(again.problems);
  EXPECT_EQ(*again.profile, *read.profile);
}

TEST(SeccompProfile, TellsAllProblemsWithTheirPlaces) {
  EXPECT_EQ(ProfileProblems(R"({
  "defaultAction": "SCMP_ACT_ALOW",
  "architectures": ["SCMP_ARCH_X86_46"],
  "sycalls": [],
  "syscalls": [
    {"names": ["read"], "action": "SCMP_ACT_TRACE"},
    {"names": [], "action": "SCMP_ACT_ALLOW", "errnoRet": 1},
    {"names": ["a b"], "action": "SCMP_ACT_ERRNO", "errnoRet": 4096,
     "args": [{"index": 6, "value": -1, "op": "SCMP_CMP_EQUAL"}, {"index": 0}],
     "includes": {"caps": ["CAP_SYS_ADMNI"], "arches": ["SCMP_ARCH_X86"], "minKernel": "4"}}
  ]
})"),
            R"(p.json:2:20: /defaultAction: unknown action 'SCMP_ACT_ALOW', did you mean 'SCMP_ACT_ALLOW'?
p.json:3:21: /architectures/0: unknown architecture 'SCMP_ARCH_X86_46', did you mean 'SCMP_ARCH_X86_64'?
p.json:4:3: /: unknown key 'sycalls', did you mean 'syscalls'?
p.json:6:35: /syscalls/0/action: SCMP_ACT_TRACE needs a program that answers for the kernel; nucleus has none
p.json:7:15: /syscalls/1/names: no system call is named
p.json:7:29: /syscalls/1/action: SCMP_ACT_ALLOW takes no errno, but one is given
p.json:8:16: /syscalls/2/names/0: 'a b' is no name of a system call
p.json:8:64: /syscalls/2/errnoRet: 4096 is more than 4095
p.json:9:25: /syscalls/2/args/0/index: 6 is more than 5
p.json:9:37: /syscalls/2/args/0/value: expected a number, found a negative number
p.json:9:47: /syscalls/2/args/0/op: unknown operator 'SCMP_CMP_EQUAL', did you mean 'SCMP_CMP_EQ'?
p.json:9:66: /syscalls/2/args/1/value: it is missing
p.json:9:66: /syscalls/2/args/1/op: it is missing
p.json:10:28: /syscalls/2/includes/caps/0: unknown capability 'CAP_SYS_ADMNI', did you mean 'CAP_SYS_ADMIN'?
p.json:10:57: /syscalls/2/includes/arches/0: unknown architecture 'SCMP_ARCH_X86'
p.json:10:88: /syscalls/2/includes/minKernel: '4' is no version; write "4.8"
)");
}

TEST(SeccompProfile, RefusesWhatCannotBeMeant) {
  struct Case {
    std::string args, problem;
  };
  const Case cases[] = {
      {"[0, 0, 0, 'SCMP_CMP_MASKED_EQ']", "/syscalls/0/args/0/value: a mask of 0 tests nothing"},
      {"[0, 1, 2, 'SCMP_CMP_MASKED_EQ']",
       "/syscalls/0/args/0/valueTwo: it has bits that are not in the mask, so it can never be equal"},
      {"[0, 0, 0, 'SCMP_CMP_LT']", "/syscalls/0/args/0: it can never hold"},
      {"[0, 0, 0, 'SCMP_CMP_GE']", "/syscalls/0/args/0: it can not fail"},
  };
  for (const Case& one : cases) {
    EXPECT_NE(ProfileProblems(WithRules(Rule("read", "SCMP_ACT_ALLOW", one.args))).find(one.problem), std::string::npos)
        << ProfileProblems(WithRules(Rule("read", "SCMP_ACT_ALLOW", one.args)));
  }
  EXPECT_NE(
      ProfileProblems(WithRules(Rule("read", "SCMP_ACT_ALLOW", "[0, 1, 0, 'SCMP_CMP_EQ'] [0, 2, 0, 'SCMP_CMP_EQ']")))
          .find("warning: /syscalls/0/args/1: argument 0 is tested twice"),
      std::string::npos);
  EXPECT_NE(ProfileProblems(WithRules(Rule("read", "SCMP_ACT_ALLOW", "[0, 1, 7, 'SCMP_CMP_EQ']")))
                .find("warning: /syscalls/0/args/0/valueTwo: only SCMP_CMP_MASKED_EQ looks at it"),
            std::string::npos);
}

TEST(SeccompProfile, RefusesListenersAndContradictions) {
  EXPECT_EQ(
      ProfileProblems(R"({"defaultAction":"SCMP_ACT_NOTIFY","listenerPath":"/run/x"})"),
      "p.json:1:18: /defaultAction: SCMP_ACT_NOTIFY needs a program that answers for the kernel; nucleus has none\n"
      "p.json:1:51: /listenerPath: nucleus has no listener for seccomp notifications\n");
  EXPECT_EQ(ProfileProblems(R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"defaultErrno":"ENOSYS"})"),
            "p.json:1:70: /defaultErrno: ENOSYS is 38, but defaultErrnoRet is 1\n");
  EXPECT_EQ(
      ProfileProblems(
          R"({"defaultAction":"SCMP_ACT_ERRNO","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]})"),
      "p.json:1:79: /archMap: both architectures and archMap are given; keep one\n");
  EXPECT_EQ(ProfileProblems(R"({"defaultAction":"SCMP_ACT_ERRNO","defaultAction":"SCMP_ACT_ALLOW"})"),
            "p.json:1:35: the key 'defaultAction' is there twice\n");
  EXPECT_EQ(ProfileProblems("[]"), "p.json:1:1: /: expected an object, found a list\n");
  EXPECT_EQ(ProfileProblems("{}"), "p.json:1:1: /defaultAction: it is missing\n");
  EXPECT_EQ(ProfileProblems(std::string(64, '[')), "p.json:1:17: nested too deeply\n");
}

TEST(SeccompProfile, RefusesAMebibyteOfGarbageAtOnce) {
  const auto filled = [](std::string head, std::string_view unit) {
    while (head.size() + unit.size() <= (std::size_t{1} << 20)) head += unit;
    return head;
  };
  const std::string rules = "{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"syscalls\":[";
  for (const auto& text :
       {filled("", "["), filled("", "{\"syscalls\":"), filled(rules, "{\"action\":\"SCMP_ACT_ALOW\",\"names\":[]},"),
        filled(rules, "{\"names\":[\"read\"],\"action\":\"SCMP_ACT_ALLOW\",\"x\":1},"), filled("", "\n"),
        filled("", "\xff"), filled("[", "\n"), filled("", "x")}) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(ReadSeccompProfile(text, "p.json").profile);
    // 20 ms on a quiet machine; sanitizers and neighbours cost more.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2)) << text.substr(0, 60);
  }
}

TEST(SeccompProfile, KnowsKernelVersions) {
  EXPECT_EQ(ParseKernelVersion("4.8"), (KernelVersion{4, 8}));
  EXPECT_EQ(ParseKernelVersion("6.18.44-fc-v657"), (KernelVersion{6, 18}));
  EXPECT_EQ(ParseKernelVersion("6.1-rc3"), (KernelVersion{6, 1}));
  EXPECT_EQ(ParseKernelVersion("6.1+"), (KernelVersion{6, 1}));
  for (const std::string_view bad : {"", "6", "6.", ".1", "a.b", "6.1x", "9999999.1", "-1.2"}) {
    EXPECT_FALSE(ParseKernelVersion(bad)) << bad;
  }
  EXPECT_LT((KernelVersion{4, 19}), (KernelVersion{5, 2}));
}

}  // namespace
}  // namespace nucleus::policy
