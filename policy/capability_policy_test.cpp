// Capability policies: what follows from what, and what contradicts what.
#include "policy/capability_policy.hpp"

#include <gtest/gtest.h>
#include <linux/capability.h>
#include <rapidcheck/gtest.h>

#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

constexpr std::uint64_t Bit(int number) {
  return std::uint64_t{1} << number;
}
constexpr std::uint64_t kBind = Bit(CAP_NET_BIND_SERVICE);
constexpr std::uint64_t kChown = Bit(CAP_CHOWN);

CapabilitySets Sets(std::string_view text) {
  const auto read = ReadCapabilityPolicy(text, "c.toml", true);
  EXPECT_TRUE(read.sets) << testing::Lines(read.problems);
  return read.sets.value_or(CapabilitySets{~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL});
}
std::string Problems(std::string_view text, bool production = true) {
  const auto read = ReadCapabilityPolicy(text, "c.toml", production);
  EXPECT_EQ(read.sets.has_value(), !testing::HasError(read.problems));
  return testing::Lines(read.problems);
}

TEST(CapabilityPolicy, EmptyListsAndNoListsDropAll) {
  EXPECT_EQ(Sets(""), CapabilitySets{});
  EXPECT_EQ(Sets("[bounding]\nkeep = []\n[ambient]\nkeep = []\n"), CapabilitySets{});
}

TEST(CapabilityPolicy, WhatIsNotGivenFollows) {
  EXPECT_EQ(Sets("[ambient]\nkeep = ['NET_BIND_SERVICE']"), (CapabilitySets{kBind, kBind, kBind, kBind, kBind}));
  EXPECT_EQ(Sets("[bounding]\nkeep = ['CAP_CHOWN']"), (CapabilitySets{kChown, kChown, kChown, 0, 0}));
  EXPECT_EQ(Sets("[permitted]\nkeep = ['cap_chown']"), (CapabilitySets{kChown, kChown, kChown, 0, 0}));
  EXPECT_EQ(Sets("[effective]\nkeep = ['Chown']"), (CapabilitySets{kChown, kChown, kChown, 0, 0}));
  EXPECT_EQ(Sets("[inheritable]\nkeep = ['chown']\n[bounding]\nkeep = ['chown','net_bind_service']"),
            (CapabilitySets{kChown | kBind, kChown, kChown, kChown, 0}));
  EXPECT_EQ(Sets("[bounding]\nkeep = ['chown','net_bind_service']\n[ambient]\nkeep = ['net_bind_service']"),
            (CapabilitySets{kChown | kBind, kBind, kBind, kBind, kBind}));
  EXPECT_EQ(Sets("[bounding]\nkeep = ['chown']\n[permitted]\nkeep = []"), (CapabilitySets{kChown, 0, 0, 0, 0}));
}

TEST(CapabilityPolicy, TellsContradictions) {
  EXPECT_EQ(Problems("[bounding]\nkeep = []\n[ambient]\nkeep = ['chown']"),
            "c.toml:2:8: permitted keeps CHOWN, which bounding does not\n"
            "c.toml:2:8: inheritable keeps CHOWN, which bounding does not\n");
  EXPECT_EQ(Problems("[permitted]\nkeep = []\n[effective]\nkeep = ['chown', 'kill']"),
            "c.toml:4:8: effective keeps CHOWN, KILL, which permitted does not\n");
  EXPECT_EQ(Problems("[ambient]\nkeep = ['chown']\n[inheritable]\nkeep = []"),
            "c.toml:2:8: ambient keeps CHOWN, which inheritable does not\n");
}

TEST(CapabilityPolicy, TellsWhatItDoesNotKnow) {
  EXPECT_EQ(Problems("keep = 1\n[bouding]\nkeep = []\n[ambient]\nkep = []\n[effective]\nkeep = 'CHOWN'\n"
                     "[permitted]\nkeep = ['CHONW', 'CAP_KIL', 1, 'x']\n"),
            "c.toml:1:1: unknown table 'keep'\n"
            "c.toml:2:2: unknown table 'bouding', did you mean 'bounding'?\n"
            "c.toml:4:2: ambient: keep is missing; keep = [] drops all\n"
            "c.toml:5:1: unknown key 'kep', did you mean 'keep'?\n"
            "c.toml:7:8: effective.keep: expected a list of capabilities, found a string\n"
            "c.toml:9:9: permitted: unknown capability 'CHONW', did you mean 'CHOWN'?\n"
            "c.toml:9:18: permitted: unknown capability 'CAP_KIL', did you mean 'CAP_KILL'?\n"
            "c.toml:9:29: permitted.keep: expected the name of a capability, found an integer\n"
            "c.toml:9:32: permitted: unknown capability 'x'\n");
  EXPECT_NE(
      Problems("[bounding]\nkeep = ['${CAPS:-CHOWN}']").find("'${CAPS:-CHOWN}': variables are not put into policies"),
      std::string::npos);
}

TEST(CapabilityPolicy, DangerousOnesAreRefusedInProduction) {
  for (const auto& [number, reason] : DangerousCapabilities()) {
    const std::string policy = CapabilityPolicyToml({Bit(number), 0, 0, 0, 0});
    EXPECT_FALSE(reason.empty());
    EXPECT_FALSE(ReadCapabilityPolicy(policy, "c.toml", true).sets) << policy;
    const auto agent = ReadCapabilityPolicy(policy, "c.toml", false);
    EXPECT_TRUE(agent.sets) << policy;
    EXPECT_EQ(agent.problems.size(), 1U);
  }
  EXPECT_EQ(Problems("[bounding]\nkeep = ['sys_module']"),
            "c.toml:2:8: bounding: SYS_MODULE is refused in production: it loads code into the kernel\n");
}

// capabilities(7): what no namespace and no control group of the container bounds.
TEST(CapabilityPolicy, WhatReachesTheMachineIsDangerous) {
  for (const std::string name : {"SYS_NICE", "SYS_RESOURCE", "LEASE", "AUDIT_WRITE", "AUDIT_READ", "LINUX_IMMUTABLE"})
    EXPECT_NE(Problems("[bounding]\nkeep = ['" + name + "']").find(name + " is refused in production: it "),
              std::string::npos)
        << name;
  EXPECT_EQ(Problems("[bounding]\nkeep = ['IPC_LOCK', 'KILL', 'NET_BIND_SERVICE', 'SETFCAP', 'SYS_CHROOT']"), "");
}

// "SYS_MODULE is refused in production: it loads code into the kernel".
TEST(CapabilityPolicy, AReasonGoesOnASentence) {
  for (const auto& [number, reason] : DangerousCapabilities()) {
    const auto verb = reason.substr(0, reason.find_first_of(" ,"));
    EXPECT_TRUE(verb.ends_with('s') && verb.find_first_not_of("abcdefghijklmnopqrstuvwxyz") == std::string_view::npos)
        << number << ": " << reason;
  }
}

// Sets that contradict nothing are written and read back; what is read contradicts nothing.
RC_GTEST_PROP(CapabilityPolicy, WritesWhatItReads,
              (std::uint64_t b, std::uint64_t p, std::uint64_t e, std::uint64_t i, std::uint64_t a)) {
  constexpr std::uint64_t kAll = Bit(41) - 1;
  CapabilitySets sets;
  sets.bounding = b & kAll;
  sets.permitted = p & sets.bounding;
  sets.effective = e & sets.permitted;
  sets.inheritable = i & sets.bounding;
  sets.ambient = a & sets.permitted & sets.inheritable;
  RC_ASSERT(CapabilityContradictions(sets).empty());
  const auto read = ReadCapabilityPolicy(CapabilityPolicyToml(sets), "c.toml", false);
  RC_ASSERT(read.sets.has_value());
  RC_ASSERT(*read.sets == sets);
}

}  // namespace
}  // namespace nucleus::policy
