// The default program against its table, by an interpreter of classic BPF as the manual has it, not by our own
// Evaluate(): what the generator assembled must be what the table says.
#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <rapidcheck/gtest.h>
#include <seccomp.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <set>
#include <sstream>

#include "actuators/security/bpf.hpp"
#include "actuators/security/default_profile.hpp"
#include "actuators/security/policy_document.hpp"
#include "actuators/security/syscall_policy.hpp"
#include "actuators/security/testing.hpp"

namespace nucleus::security {
namespace {

using testing::Interpret;

constexpr std::uint32_t kAllow = SECCOMP_RET_ALLOW;
constexpr std::uint32_t kKill = SECCOMP_RET_KILL_PROCESS;
constexpr std::uint32_t Refuse(int number) {
  return SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(number);
}

std::uint32_t Number(std::string_view name) {
  for (const NewCall& call : NewCalls())
    if (call.name == name) return call.number;
  return static_cast<std::uint32_t>(seccomp_syscall_resolve_name(std::string(name).c_str()));
}

seccomp_data Call(std::uint32_t number, std::initializer_list<std::uint64_t> arguments = {}) {
  seccomp_data data{};
  data.nr = static_cast<int>(number);
  data.arch = AUDIT_ARCH_X86_64;
  std::size_t i = 0;
  for (const auto argument : arguments) data.args[i++] = argument;
  return data;
}

std::uint32_t Verdict(std::string_view name, std::initializer_list<std::uint64_t> arguments = {}) {
  return Interpret(DefaultProfile(), Call(Number(name), arguments)).value_or(0xdeadU);
}

std::vector<std::string> Words(std::string_view text) {
  std::istringstream in{std::string(text)};
  return {std::istream_iterator<std::string>(in), {}};
}

std::uint32_t Expected(Treatment treatment) {
  switch (treatment) {
    case Treatment::kAllow:
      return kAllow;
    case Treatment::kPermission:
      return Refuse(EPERM);
    case Treatment::kMissing:
      return Refuse(ENOSYS);
    case Treatment::kKill:
    case Treatment::kArguments:
      return kKill;
  }
  return kKill;
}

TEST(DefaultProfile, DoesWithEveryCallWhatTheTableSays) {
  std::size_t calls = 0;
  for (const PolicyRow& row : PolicyRows()) {
    if (row.treatment == Treatment::kArguments) continue;
    for (const std::string& name : Words(row.calls)) {
      if (static_cast<std::int32_t>(Number(name)) < 0) continue;  // not on this architecture
      EXPECT_EQ(Verdict(name), Expected(row.treatment)) << name;
      EXPECT_EQ(Verdict(name, {~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL, ~0ULL}), Expected(row.treatment)) << name;
      ++calls;
    }
  }
  EXPECT_GT(calls, 300U);
}

TEST(DefaultProfile, RefusesWithEnosysWhateverIsNotInTheTable) {
  std::set<std::uint32_t> known;
  for (const PolicyRow& row : PolicyRows())
    for (const std::string& name : Words(row.calls)) known.insert(Number(name));
  for (std::uint32_t number = 0; number < 2000; ++number) {
    if (!known.contains(number)) {
      EXPECT_EQ(Interpret(DefaultProfile(), Call(number)), Refuse(ENOSYS)) << number;
    }
  }
  EXPECT_EQ(Interpret(DefaultProfile(), Call(0x3fffffffU)), Refuse(ENOSYS));
}

struct Case {
  const char* call;
  std::initializer_list<std::uint64_t> arguments;
  std::uint32_t verdict;
};
constexpr std::uint64_t kHigh = 0xffffffff00000000ULL;

TEST(DefaultProfile, LooksAtArguments) {
  const Case cases[] = {
      {"clone", {0x01200011}, kAllow},              // fork of glibc
      {"clone", {0x003d0f00}, kAllow},              // a thread
      {"clone", {0x00020000 | 17}, Refuse(EPERM)},  // CLONE_NEWNS
      {"clone", {0x02000000 | 17}, Refuse(EPERM)},  // CLONE_NEWCGROUP
      {"clone", {0x04000000 | 17}, Refuse(EPERM)},  // CLONE_NEWUTS
      {"clone", {0x08000000 | 17}, Refuse(EPERM)},  // CLONE_NEWIPC
      {"clone", {0x10000000 | 17}, Refuse(EPERM)},  // CLONE_NEWUSER
      {"clone", {0x20000000 | 17}, Refuse(EPERM)},  // CLONE_NEWPID
      {"clone", {0x40000000 | 17}, Refuse(EPERM)},  // CLONE_NEWNET
      {"clone", {kHigh | 0x10000000}, Refuse(EPERM)},
      {"clone3", {0, 88}, Refuse(ENOSYS)},
      {"unshare", {0x200}, kAllow},  // CLONE_FS
      {"unshare", {0x10000000}, Refuse(EPERM)},
      {"unshare", {0x80}, Refuse(EPERM)},  // CLONE_NEWTIME
      {"setns", {3, 0}, Refuse(EPERM)},
      {"ioctl", {0, 0x5401}, kAllow},                 // TCGETS
      {"ioctl", {0, 0x5412}, Refuse(EPERM)},          // TIOCSTI
      {"ioctl", {0, kHigh | 0x5412}, Refuse(EPERM)},  // CVE-2019-7303
      {"ioctl", {0, 0x100005412ULL}, Refuse(EPERM)},
      {"ioctl", {0, 0x541c}, Refuse(EPERM)},  // TIOCLINUX
      {"ioctl", {0, 0x5423}, Refuse(EPERM)},  // TIOCSETD
      {"socket", {1, 1, 0}, kAllow},
      {"socket", {2, 1, 0}, kAllow},
      {"socket", {10, 2, 0}, kAllow},
      {"socket", {16, 3, 0}, kAllow},                    // NETLINK_ROUTE
      {"socket", {16, 3, 9}, Refuse(EPROTONOSUPPORT)},   // NETLINK_AUDIT
      {"socket", {16, 3, 12}, Refuse(EPROTONOSUPPORT)},  // NETLINK_NETFILTER
      {"socket", {16, 3, 0x100000009ULL}, Refuse(EPROTONOSUPPORT)},
      {"socket", {17, 3, 0}, Refuse(EAFNOSUPPORT)},  // AF_PACKET
      {"socket", {38, 5, 0}, Refuse(EAFNOSUPPORT)},  // AF_ALG
      {"socket", {40, 1, 0}, Refuse(EAFNOSUPPORT)},  // AF_VSOCK
      {"socketpair", {1, 1, 0}, kAllow},
      {"socketpair", {30, 1, 0}, Refuse(EAFNOSUPPORT)},  // AF_TIPC
      {"personality", {0}, kAllow},
      {"personality", {0xffffffff}, kAllow},
      {"personality", {0x0040000}, Refuse(EPERM)},  // ADDR_NO_RANDOMIZE
      {"personality", {0x0400000}, Refuse(EPERM)},  // READ_IMPLIES_EXEC
  };
  for (const Case& one : cases)
    EXPECT_EQ(Verdict(one.call, one.arguments), one.verdict) << one.call << std::hex << " 0x" << *one.arguments.begin();
}

TEST(DefaultProfile, KillsCallsOfOtherAbis) {
  constexpr std::uint32_t kBeyondAll = 4096;
  for (std::uint32_t number = 0; number < kBeyondAll; ++number) {
    EXPECT_EQ(Interpret(DefaultProfile(), Call(kX32Bit | number)), kKill) << "x32 " << number;
    for (const std::uint32_t arch : std::array<std::uint32_t, 3>{AUDIT_ARCH_I386, AUDIT_ARCH_AARCH64, 0}) {
      seccomp_data foreign = Call(number);
      foreign.arch = arch;
      EXPECT_EQ(Interpret(DefaultProfile(), foreign), kKill) << std::hex << arch << " " << number;
    }
  }
  EXPECT_EQ(Interpret(DefaultProfile(), Call(0xffffffffU)), Refuse(ENOSYS));  // what a tracer writes to skip a call
}

RC_GTEST_PROP(DefaultProfile, EndsAndAgreesWithOurOwnReadingOfIt,
              (std::uint32_t wide, std::uint64_t a, std::uint64_t b)) {
  const std::vector<BpfInstruction> program(DefaultProfile().begin(), DefaultProfile().end());
  for (const std::uint32_t number : {wide, wide % 512}) {
    const auto verdict = Interpret(program, Call(number, {a, b, a ^ b}));
    RC_ASSERT(verdict.has_value());
    security::Call call{.architecture = AUDIT_ARCH_X86_64, .number = number, .arguments = {a, b, a ^ b}};
    RC_ASSERT(*verdict == Evaluate(program, call).value);
  }
}

// To bring the document up to date: build/release/actuators/security/nucleus_profile_generator document
TEST(DefaultProfile, IsDocumentedAsItIs) {
  std::ifstream file(NUCLEUS_DOCUMENT);
  const std::string document{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(document.find(PolicyDocument()), std::string::npos);
}

TEST(DefaultProfile, IsShortEnoughForTheKernel) {
  EXPECT_LE(DefaultProfile().size(), static_cast<std::size_t>(BPF_MAXINSNS));
}

}  // namespace
}  // namespace nucleus::security
