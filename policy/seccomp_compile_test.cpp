// From the text of a profile to a program, and what is said on the way.
#include "policy/seccomp_compile.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using testing::Lines;
using testing::Rule;
using testing::WithRules;

std::string CompileProblems(const std::string& text, const SeccompInputs& inputs = {}) {
  const auto build = BuildSeccomp(text, "p.json", inputs, "");
  EXPECT_EQ(build.program.has_value(), !testing::HasError(build.problems));
  return Lines(build.problems);
}

TEST(SeccompCompile, UnknownNamesAreSaid) {
  EXPECT_EQ(CompileProblems(WithRules("{\"names\":[\"read\",\"opanat\"],\"action\":\"SCMP_ACT_ALLOW\"}")),
            "p.json:1:64: warning: /syscalls/0/names/1: unknown system call 'opanat', did you mean 'openat'?\n");
  EXPECT_EQ(CompileProblems(WithRules(Rule("ptarce", "SCMP_ACT_KILL_PROCESS", ""), "SCMP_ACT_ALLOW")),
            "p.json:1:57: /syscalls/0/names/0: unknown system call 'ptarce', did you mean 'ptrace'?; it was to kill "
            "process, and would pass\n");
  EXPECT_EQ(CompileProblems(WithRules(Rule("read", "SCMP_ACT_ALLOW", "")), {.allow = {"moutn", "mount"}}),
            "--seccomp-allow: unknown system call 'moutn', did you mean 'mount'?\n");
  // Of another architecture, and younger than the library: known.
  EXPECT_EQ(
      CompileProblems(WithRules(Rule("set_tls", "SCMP_ACT_ALLOW", "") + "," + Rule("mseal", "SCMP_ACT_ALLOW", ""))),
      "");
}

TEST(SeccompCompile, WhatCannotBeRefusedOnAnArchitectureIsAnError) {
#if defined(__x86_64__)
  const std::string_view arches = R"(,"architectures":["SCMP_ARCH_X86_64","SCMP_ARCH_X86"])";
  EXPECT_NE(CompileProblems(WithRules(Rule("read", "SCMP_ACT_ALLOW", "[0, 4294967296, 0, 'SCMP_CMP_EQ']"),
                                      "SCMP_ACT_ERRNO", arches))
                .find("arguments of SCMP_ARCH_X86 have 32 bits"),
            std::string::npos);
#endif
}

TEST(SeccompCompile, IsFastAndShort) {
  std::string names;
  for (const std::string_view name : {"read", "write", "close", "openat", "fstat", "mmap", "munmap", "brk", "futex"}) {
    names += (names.empty() ? "\"" : ",\"") + std::string(name) + "\"";
  }
  const auto build = BuildSeccomp(
      "{\"defaultAction\":\"SCMP_ACT_KILL_PROCESS\",\"architectures\":[\"SCMP_ARCH_X86_64\",\"SCMP_ARCH_AARCH64\"],"
      "\"syscalls\":[{\"names\":[" +
          names + "],\"action\":\"SCMP_ACT_ALLOW\"}]}",
      "p.json", {}, "");
  ASSERT_TRUE(build.program) << Lines(build.problems);
  EXPECT_LE(build.program->size(), 64U);
}

// The kernel takes the program, and does with real calls what it says.
TEST(SeccompCompile, TheKernelTakesIt) {
  const auto build = BuildSeccomp(WithRules(Rule("getppid", "SCMP_ACT_ERRNO", "", ",\"errnoRet\":42") + "," +
                                                Rule("getpgid", "SCMP_ACT_ERRNO", "[0, 7, 0, 'SCMP_CMP_EQ']"),
                                            "SCMP_ACT_ALLOW"),
                                  "p.json", {}, "");
  ASSERT_TRUE(build.program) << Lines(build.problems);
  std::vector<sock_filter> filter;
  for (const auto& i : *build.program) filter.push_back({i.code, i.jt, i.jf, i.k});
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  const pid_t child = ::fork();
  if (child == 0) {
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(2);
    if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) ::_exit(3);
    if (::syscall(SYS_getppid) != -1 || errno != 42) ::_exit(4);
    if (::syscall(SYS_getpgid, 7) != -1 || errno != EPERM) ::_exit(5);
    if (::syscall(SYS_getpgid, 0) < 0) ::_exit(6);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(SeccompCompile, ThreadsMayCompileAtOnce) {
  const std::string text = WithRules(Rule("read", "SCMP_ACT_ALLOW", "[0, 2, 0, 'SCMP_CMP_LE']"));
  const auto expected = BuildSeccomp(text, "p.json", {}, "").program;
  ASSERT_TRUE(expected);
  std::vector<std::jthread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 20; ++j) EXPECT_EQ(BuildSeccomp(text, "p.json", {}, "").program, expected);
    });
  }
}

}  // namespace
}  // namespace nucleus::policy
