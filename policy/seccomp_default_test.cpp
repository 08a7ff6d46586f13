// The profile that is printed is the policy that containers have: of every number, with arguments on both sides of
// everything that is told apart, both programs say the same.
#include "policy/seccomp_default.hpp"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>

#include <set>

#include "actuators/security/default_profile.hpp"
#include "actuators/security/syscall_policy.hpp"
#include "actuators/security/testing.hpp"
#include "actuators/sys/syscall_names.hpp"
#include "policy/seccomp_compile.hpp"
#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using security::testing::Interpret;

std::set<std::uint64_t> Interesting() {
  std::set<std::uint64_t> values{0, UINT32_MAX, UINT64_MAX, std::uint64_t{1} << 32};
  const auto near = [&](std::uint32_t value) {
    for (const std::uint64_t high : {std::uint64_t{0}, std::uint64_t{1} << 32, std::uint64_t{UINT32_MAX} << 32}) {
      for (const std::uint32_t low : {value - 1, value, value + 1}) values.insert(high | low);
      for (int bit = 0; bit < 32; ++bit) values.insert(high | (value ^ 1U << bit));
    }
  };
  near(0);
  for (const auto& condition : security::PolicyConditions()) {
    near(condition.value);
    near(condition.mask);
  }
  return values;
}

TEST(SeccompDefault, IsThePolicyThatContainersHave) {
  const std::string text = SeccompProfileJson(DefaultSeccompProfile());
  const SeccompBuild built = BuildSeccomp(text, "default", {}, "");
  ASSERT_TRUE(built.program) << testing::Lines(built.problems);
  EXPECT_EQ(testing::Lines(built.problems), "");
  const auto own = security::DefaultProfile();
  const auto values = Interesting();
  const auto same = [&](std::uint32_t architecture, std::uint32_t number, std::uint64_t a, std::uint64_t b,
                        std::uint64_t c) {
    seccomp_data call{.nr = static_cast<int>(number), .arch = architecture, .instruction_pointer = 0, .args = {}};
    call.args[0] = a, call.args[1] = b, call.args[2] = c;
    const auto one = Interpret(own, call), other = Interpret(*built.program, call);
    if (one == other) return true;
    ADD_FAILURE() << architecture << "/" << number << "(" << a << ", " << b << ", " << c << "): " << std::hex
                  << one.value_or(1) << " and " << other.value_or(1);
    return false;
  };
  std::size_t differences = 0;
  for (const std::uint32_t bit : {0U, 0x40000000U, 0x80000000U, 0xc0000000U}) {
    for (std::uint32_t number = 0; number < 1024 && differences < 20; ++number) {
      for (const std::uint64_t value : values)
        if (!same(sys::kNativeArchitecture, number | bit, value, value, 0)) ++differences;
    }
  }
  for (const std::uint32_t number : {std::uint32_t{SYS_socket}, std::uint32_t{SYS_socketpair}}) {
    for (const std::uint64_t first : {std::uint64_t{1}, std::uint64_t{16}, (std::uint64_t{1} << 32) + 16})
      for (const std::uint64_t third : values)
        if (!same(sys::kNativeArchitecture, number, first, 0, third)) ++differences;
  }
  constexpr std::uint32_t kArchitectures[] = {0, AUDIT_ARCH_I386, AUDIT_ARCH_ARM, AUDIT_ARCH_X86_64,
                                              AUDIT_ARCH_AARCH64};
  for (const std::uint32_t architecture : kArchitectures)
    for (std::uint32_t number = 0; number < 512; ++number)
      if (!same(architecture, number, 0, 0, 0)) ++differences;
  EXPECT_EQ(differences, 0U);
}

TEST(SeccompDefault, IsReadBackAsItWasWritten) {
  const SeccompProfile profile = DefaultSeccompProfile();
  const SeccompRead read = ReadSeccompProfile(SeccompProfileJson(profile), "default");
  ASSERT_TRUE(read.profile) << testing::Lines(read.problems);
  EXPECT_EQ(*read.profile, profile);
}

TEST(SeccompDefault, TakesWhatIsAllowedBesides) {
  const SeccompBuild built =
      BuildSeccomp(SeccompProfileJson(DefaultSeccompProfile()), "default", {.allow = {"io_uring_setup", "clone"}}, "");
  ASSERT_TRUE(built.program) << testing::Lines(built.problems);
  for (const std::uint32_t number : {std::uint32_t{SYS_io_uring_setup}, std::uint32_t{SYS_clone}}) {
    seccomp_data call{};
    call.nr = static_cast<int>(number);
    call.arch = sys::kNativeArchitecture;
    call.args[0] = 0x10000000;  // CLONE_NEWUSER
    EXPECT_EQ(Interpret(*built.program, call), SECCOMP_RET_ALLOW) << number;
  }
}

TEST(SeccompDefault, SaysWhyItRefuses) {
  const std::vector<std::string> names{"ptrace", "read", "file_getattr", "clone", "no_such_call"};
  const auto reasons = WhyRefusedByDefault(names);
  ASSERT_EQ(reasons.size(), 2U);
  EXPECT_EQ(reasons[0], "clone: some of its arguments are refused");
  EXPECT_TRUE(reasons[1].starts_with("ptrace: reach into other processes"));
}

}  // namespace
}  // namespace nucleus::policy
