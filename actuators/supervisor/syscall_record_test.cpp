#include "actuators/supervisor/syscall_record.hpp"

#include <gtest/gtest.h>
#include <sys/syscall.h>

#include "actuators/sys/syscall_names.hpp"

namespace nucleus::process {
namespace {

seccomp_data Call(int number, std::uint64_t first = 0, std::uint64_t second = 0) {
  seccomp_data call{};
  call.nr = number;
  call.arch = sys::kNativeArchitecture;
  call.args[0] = first;
  call.args[1] = second;
  return call;
}

TEST(CallTrace, HasALineForEachName) {
  CallTrace trace;
  EXPECT_EQ(trace.Text(), "");
  for (int i = 0; i < 3; ++i) trace.Count(Call(SYS_getpid));
  trace.Count(Call(SYS_socket, 2));
  trace.Count(Call(SYS_socket, (7ULL << 32) | 1));  // the kernel looks at the low half
  trace.Count(Call(SYS_ioctl, 1, 21505));
  EXPECT_EQ(trace.total(), 6U);
  const std::string socket = std::to_string(SYS_socket), ioctl = std::to_string(SYS_ioctl);
  EXPECT_EQ(trace.Text(), "{\"syscall\":" + std::to_string(SYS_getpid) + ",\"name\":\"getpid\",\"count\":3}\n" +
                              "{\"syscall\":" + ioctl + ",\"name\":\"ioctl\",\"count\":1,\"args\":{\"1\":[21505]}}\n" +
                              "{\"syscall\":" + socket + ",\"name\":\"socket\",\"count\":2,\"args\":{\"0\":[1,2]}}\n");
}

TEST(CallTrace, WhatWasMissingIsMarked) {
  CallTrace trace;
  trace.CountMissing(Call(SYS_clone3));
  trace.CountMissing(Call(SYS_clone3));
  trace.Count(Call(SYS_getpid));
  EXPECT_NE(trace.Text().find("\"name\":\"clone3\",\"count\":2,\"missing\":true}\n"), std::string::npos);
  EXPECT_NE(trace.Text().find("\"name\":\"getpid\",\"count\":1}\n"), std::string::npos);
}

TEST(CallTrace, ArgumentsThatAreTooManyAreLeftOut) {
  CallTrace trace;
  for (std::uint64_t request = 0; request < 5000; ++request) trace.Count(Call(SYS_ioctl, 0, request));
  EXPECT_NE(trace.Text().find("\"count\":5000}"), std::string::npos);
}

TEST(CallTrace, UnknownNumbersAreToldAsNumbers) {
  CallTrace trace;
  trace.Count(Call(5000));
  trace.Count(Call(-1));
  EXPECT_NE(trace.Text().find("\"name\":\"syscall_5000\""), std::string::npos);
}

#if defined(__x86_64__)
TEST(CallTrace, AnotherAbiCountsUnderTheSameName) {
  CallTrace trace;
  trace.Count(Call(SYS_read));
  seccomp_data call = Call(3);
  call.arch = AUDIT_ARCH_I386;
  trace.Count(call);
  call.nr = 102;
  trace.Count(call);
  EXPECT_EQ(trace.Text(),
            "{\"syscall\":0,\"name\":\"read\",\"count\":2,\"abis\":[\"x86\"]}\n"
            "{\"syscall\":102,\"name\":\"socketcall\",\"count\":1,\"abis\":[\"x86\"]}\n");
}
#endif

TEST(DenialRecord, CountsByProgramCallAndOutcome) {
  DenialRecord record;
  EXPECT_TRUE(record.empty());
  for (int i = 0; i < 2; ++i) record.Count({"sh", "mkdir", "EPERM"});
  record.Count({"cat", "open", "killed"});
  EXPECT_EQ(record.TakeNews().size(), 2U);
  EXPECT_TRUE(record.TakeNews().empty());
  EXPECT_EQ(record.Lines(), (std::vector<std::string>{"seccomp denied 'open' to cat: killed, once",
                                                      "seccomp denied 'mkdir' to sh: EPERM, 2 times"}));
}

TEST(DenialRecord, AProgramOfManyNamesDoesNotFillTheMemory) {
  DenialRecord record;
  for (int i = 0; i < 5000; ++i) record.Count({std::to_string(i), "mkdir", "EPERM"});
  EXPECT_EQ(record.Lines().size(), 1001U);
  EXPECT_EQ(record.Lines().back(), "seccomp denied others: 4000 times");
}

}  // namespace
}  // namespace nucleus::process
