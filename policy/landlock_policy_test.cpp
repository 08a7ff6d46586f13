// Landlock policies: words, places, and what an older kernel would not do.
#include "policy/landlock_policy.hpp"

#include <gtest/gtest.h>

#include "actuators/security/landlock_abi.hpp"
#include "actuators/sys/landlock.hpp"
#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using namespace security;

std::string LandlockProblems(std::string_view text) {
  const auto read = ReadLandlockPolicy(text, "l.toml");
  EXPECT_EQ(read.policy.has_value(), !testing::HasError(read.problems));
  return testing::Lines(read.problems);
}
LandlockPolicy Policy(std::string_view text) {
  const auto read = ReadLandlockPolicy(text, "l.toml");
  EXPECT_TRUE(read.policy) << testing::Lines(read.problems);
  return read.policy.value_or(LandlockPolicy{});
}
std::uint64_t Access(std::string_view words) {
  const auto policy = Policy("[[rules]]\npath = '/x'\naccess = [" + std::string(words) + "]");
  return policy.rules.empty() ? 0 : policy.rules[0].access;
}
std::string Losses(const LandlockPolicy& policy, std::uint32_t abi) {
  std::string text;
  for (const auto& loss : LandlockLosses(policy, abi))
    text += (loss.weaker ? "weaker: " : "stricter: ") + loss.what + "\n";
  return text;
}

TEST(LandlockPolicy, ReadsAWholePolicy) {
  const auto policy = Policy(R"(min_abi = 3
tcp_bind = [8080, 0, 8080]
tcp_connect = []
scope = ["abstract_sockets", "signals"]
[[rules]]
path = "/bin/"
access = ["read", "execute"]
[[rules]]
path = "/"
access = ["readdir"]
)");
  EXPECT_EQ(policy.min_abi, 3U);
  EXPECT_EQ(policy.handled_fs, kAllFs);
  EXPECT_EQ(policy.tcp_bind, (std::vector<std::uint16_t>{0, 8080}));
  EXPECT_EQ(policy.tcp_connect, std::vector<std::uint16_t>{});
  EXPECT_EQ(policy.scoped, kScopeAbstractSocket | kScopeSignal);
  ASSERT_EQ(policy.rules.size(), 2U);
  EXPECT_EQ(policy.rules[0].path, "/bin");
  EXPECT_EQ(policy.rules[0].access, kReadFile | kReadDir | kExecute);
  EXPECT_EQ(policy.rules[1].access, kReadDir);
  const Landlock landlock = policy.ToLandlock(true);
  EXPECT_TRUE(landlock.enabled && landlock.required);
  EXPECT_EQ(landlock.min_abi, 3U);
  EXPECT_EQ(landlock.handled_fs, kAllFs);
  EXPECT_EQ(landlock.scoped, policy.scoped);
  EXPECT_EQ(landlock.rules[0], (LandlockRule{"/bin", kReadFile | kReadDir | kExecute, true}));
  EXPECT_EQ(landlock.handled_net, 3U);
  EXPECT_EQ(landlock.ports, (std::vector<LandlockPort>{{0, 1}, {8080, 1}}));
}

TEST(LandlockPolicy, ReadingIsNotExecuting) {
  EXPECT_EQ(Access("'read'"), kReadAccess);
  EXPECT_EQ(Access("'read', 'write', 'create', 'remove', 'refer'"), kWriteAccess);
  EXPECT_EQ(Access("'all'") & (kMakeChar | kMakeBlock), 0U);
  EXPECT_EQ(Access("'all'") | kMakeChar | kMakeBlock, kAllFs);
  EXPECT_EQ(Access("'ioctl', 'truncate'"), kIoctlDev | kTruncate);
  EXPECT_EQ(sys::LandlockRightsOf(S_IFREG), kExecute | kWriteFile | kReadFile | kTruncate);
  EXPECT_EQ(sys::LandlockRightsOf(S_IFCHR), kExecute | kWriteFile | kReadFile | kTruncate | kIoctlDev);
  EXPECT_EQ(sys::LandlockRightsOf(S_IFDIR) & kAllFs, kAllFs);
}

TEST(LandlockPolicy, TellsAllProblems) {
  EXPECT_EQ(LandlockProblems(R"(min_abi = 8
tcp_bind = [65536, "80"]
tcp_connect = 0
scope = ["signal"]
rulez = 1
[[rules]]
path = "bin"
access = ["raed", "exec", 1]
[[rules]]
path = "/a/../b"
access = []
acess = []
[[rules]]
access = ["read"]
[[rules]]
path = "/a"
access = ["read"]
[[rules]]
path = "/a/"
access = "read"
[[rules]]
path = "/a"
access = ["write"]
)"),
            R"(l.toml:1:11: min_abi: 8: not from 1 to 7
l.toml:2:13: tcp_bind: 65536: not from 0 to 65535
l.toml:2:20: tcp_bind: expected a whole number, found a string
l.toml:3:15: tcp_connect: expected a list of ports, found an integer
l.toml:4:10: scope: unknown word 'signal', did you mean 'signals'?
l.toml:5:1: unknown key 'rulez', did you mean 'rules'?
l.toml:7:8: path: 'bin': not absolute; it is a path inside the container
l.toml:8:11: access: unknown word 'raed', did you mean 'read'?
l.toml:8:19: access: unknown word 'exec'
l.toml:8:27: access: expected a word, found an integer
l.toml:10:8: path: '/a/../b': write it without '//', '.' and '..'
l.toml:11:10: access: there is no word; leave the rule out to allow nothing
l.toml:12:1: unknown key 'acess', did you mean 'access'?
l.toml:13:1: rules: path is missing
l.toml:20:10: access: expected a list of words, found a string
l.toml:22:8: path: '/a' has a rule already, at l.toml:16:8
)");
  EXPECT_EQ(LandlockProblems("min_abi = 3"),
            "l.toml:1:1: no [[rules]]: without any, no file could be opened, nor the workload be executed\n");
  EXPECT_EQ(LandlockProblems("rules = []"),
            "l.toml:1:9: rules: there is none, so the workload could not be executed\n");
  EXPECT_NE(LandlockProblems("[[rules]]\npath = '/${HOME:-x}'\naccess = ['read']")
                .find("variables are not put into policies"),
            std::string::npos);
}

TEST(LandlockPolicy, SaysWhatAnOlderKernelDoesNotDo) {
  const auto full = Policy(R"(tcp_bind = [80]
tcp_connect = [5432]
scope = ["abstract_sockets", "signals"]
[[rules]]
path = "/tmp"
access = ["write", "refer"]
)");
  EXPECT_EQ(Losses(full, 7), "");
  EXPECT_EQ(Losses(full, 6), "");
  EXPECT_EQ(Losses(full, 5),
            "weaker: abstract sockets outside of the container are not shut off (ABI 6)\n"
            "weaker: signals to processes outside are not shut off (ABI 6)\n");
  EXPECT_EQ(Losses(full, 1),
            "stricter: moving and linking between directories is refused everywhere (ABI 2)\n"
            "weaker: truncating files is not restricted (ABI 3)\n"
            "weaker: requests to devices (ioctl) are not restricted (ABI 5)\n"
            "weaker: the TCP ports to listen on are not restricted (ABI 4)\n"
            "weaker: the TCP ports to connect to are not restricted (ABI 4)\n"
            "weaker: abstract sockets outside of the container are not shut off (ABI 6)\n"
            "weaker: signals to processes outside are not shut off (ABI 6)\n");
  EXPECT_EQ(Losses(full, 0),
            "weaker: nothing is restricted: this kernel has no Landlock, or it is switched off (ABI 1)\n");
  const auto open = Policy("min_abi = 3\n[[rules]]\npath = '/'\naccess = ['all']");
  EXPECT_EQ(Losses(open, 3), "");
  EXPECT_EQ(Losses(open, 2), "weaker: the policy wants ABI 3, and this kernel has ABI 2\n");
}

}  // namespace
}  // namespace nucleus::policy
