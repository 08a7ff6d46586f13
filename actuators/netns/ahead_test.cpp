// Namespaces that are made ahead: by a thread of the C library's, and by one that the entry point begins without it.
#include "actuators/netns/ahead.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <thread>

#include "actuators/netns/testing.hpp"

namespace nucleus::netns {
namespace {

ino_t NumberOf(int fd) {
  struct stat st{};
  EXPECT_EQ(::fstat(fd, &st), 0);
  return st.st_ino;
}

ino_t OwnNumber() {
  const sys::Fd own(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  return NumberOf(own.get());
}

// Of its loopback, as one sees them who goes there.
int FlagsIn(int network) {
  int flags = 0;
  std::thread([&] {
    ifreq request{};
    std::memcpy(request.ifr_name, "lo", 3);
    ASSERT_EQ(::setns(network, CLONE_NEWNET), 0);
    const sys::Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::ioctl(socket.get(), SIOCGIFFLAGS, &request), 0);
    flags = request.ifr_flags;
  }).join();
  return flags;
}

std::ptrdiff_t OpenFiles() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

bool IsOpen(int fd) {
  return ::fcntl(fd, F_GETFD) >= 0;
}

int SomeFile() {
  return ::open("/dev/null", O_RDONLY | O_CLOEXEC);
}

class Ahead : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (!testing::Isolated()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for namespaces of its own";
#if !defined(__x86_64__) || defined(NUCLEUS_SANITIZED)
    if (GetParam()) GTEST_SKIP() << "the entry point of this build begins nothing";
#endif
  }
  // closed: what it is to close.
  static std::unique_ptr<NamespaceAhead> Begin(int closed) {
    if (!GetParam()) return std::make_unique<NamespaceAhead>(sys::Fd(closed));
    NucleusBeginAhead(closed);
    return std::make_unique<NamespaceAhead>();
  }
};

TEST_P(Ahead, IsAnotherWhoseLoopbackIsUp) {
  const int closed = SomeFile();
  const auto ahead = Begin(closed);
  const auto made = ahead->Take();
  ASSERT_TRUE(made) << made.error().Message();
  ASSERT_TRUE(*made);
  EXPECT_NE(NumberOf(made->get()), OwnNumber());
  const auto finished = ahead->Finish();
  ASSERT_TRUE(finished) << finished.error().Message();
  EXPECT_EQ(FlagsIn(made->get()) & IFF_UP, IFF_UP);
  EXPECT_FALSE(IsOpen(closed));
}

TEST_P(Ahead, GoesWhereNobodyTakesIt) {
  const auto before = OpenFiles();
  Begin(SomeFile()).reset();
  EXPECT_EQ(OpenFiles(), before);
}

TEST_P(Ahead, SaysWhyThereIsNone) {
  // Who may have no other namespace: namespaces(7), /proc/sys/user.
  const int status = [] {
    const pid_t child = ::fork();
    if (child == 0) {
      if (::unshare(CLONE_NEWUSER) != 0) ::_exit(77);
      const sys::Fd most(::open("/proc/sys/user/max_net_namespaces", O_WRONLY | O_CLOEXEC));
      if (::write(most.get(), "0", 1) != 1) ::_exit(77);
      const auto ahead = Begin(SomeFile());
      const auto made = ahead->Take();
      ::_exit(!made && made.error().operation == "unshare" && made.error().sys_errno == ENOSPC && ahead->Finish() ? 0
                                                                                                                  : 1);
    }
    int ended = 0;
    ::waitpid(child, &ended, 0);
    return WEXITSTATUS(ended);
  }();
  if (status == 77) GTEST_SKIP() << "no user namespaces here";
  EXPECT_EQ(status, 0);
}

INSTANTIATE_TEST_SUITE_P(Begun, Ahead, ::testing::Bool(), [](const auto& test) {
  return test.param ? std::string("ByTheEntryPoint") : std::string("ByItself");
});

}  // namespace
}  // namespace nucleus::netns
