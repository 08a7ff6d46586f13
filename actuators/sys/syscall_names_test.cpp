#include "actuators/sys/syscall_names.hpp"

#include <gtest/gtest.h>
#include <sys/syscall.h>

namespace nucleus::sys {
namespace {

TEST(SyscallNames, AreThoseOfTheMachine) {
  EXPECT_EQ(SyscallName(kNativeArchitecture, SYS_read), "read");
  EXPECT_EQ(SyscallName(kNativeArchitecture, SYS_execve), "execve");
  EXPECT_EQ(SyscallName(kNativeArchitecture, SYS_clone3), "clone3");
  EXPECT_EQ(SyscallName(kNativeArchitecture, 462), "mseal") << "younger than the libseccomp that it is built with";
  EXPECT_EQ(SyscallName(kNativeArchitecture, 999), "");
  EXPECT_EQ(SyscallNumber(kNativeArchitecture, "clone3"), SYS_clone3);
  EXPECT_EQ(SyscallNumber(kNativeArchitecture, "clone4"), std::nullopt);
  EXPECT_EQ(SyscallText(kNativeArchitecture, 999), "syscall_999");
  EXPECT_EQ(ForeignAbi(kNativeArchitecture, SYS_read), "");
}

#if defined(__x86_64__)
TEST(SyscallNames, KnowTheOtherAbisOfTheMachine) {
  EXPECT_EQ(SyscallName(AUDIT_ARCH_I386, 3), "read");
  EXPECT_EQ(SyscallName(AUDIT_ARCH_I386, 102), "socketcall");
  EXPECT_EQ(ForeignAbi(AUDIT_ARCH_I386, 3), "x86");
  EXPECT_EQ(SyscallName(AUDIT_ARCH_X86_64, kX32CallBit | 1), "write");
  EXPECT_EQ(ForeignAbi(AUDIT_ARCH_X86_64, kX32CallBit | 1), "x32");
}
#endif

TEST(SyscallNames, NothingIsKnownOfAnotherMachine) {
  EXPECT_EQ(SyscallName(0xdead, 1), "");
  EXPECT_EQ(ForeignAbi(0xdead, 1), "other");
}

}  // namespace
}  // namespace nucleus::sys
