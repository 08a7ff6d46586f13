#include "actuators/netns/free_ports.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>

#include "actuators/sys/fd.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {
namespace {

// A socket with a port of 127.0.0.1 that was free, which is not listened on.
sys::Fd Taken(spec::PortForward& port) {
  sys::Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  EXPECT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&at), size), 0);
  EXPECT_EQ(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&at), &size), 0);
  port = {spec::Ipv4{0x7f000001}, ntohs(at.sin_port), 80, spec::Protocol::kTcp};
  return socket;
}

TEST(FreePorts, AreWaitedForAndNoLonger) {
  spec::PortForward port;
  auto socket = Taken(port);
  const auto taken = AwaitFree({port}, std::chrono::milliseconds(20));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::kConflict);
  socket.reset();
  EXPECT_TRUE(AwaitFree({port}, {}));
}

TEST(FreePorts, ASignalThatIsHeldBackEndsTheWait) {
  spec::PortForward port;
  const auto socket = Taken(port);
  sigset_t end;
  ::sigemptyset(&end);
  ::sigaddset(&end, SIGTERM);
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, &end, nullptr), 0);
  ASSERT_EQ(::raise(SIGTERM), 0);
  const auto waited = AwaitFree({port}, std::chrono::seconds(5));
  int signal = 0;
  EXPECT_EQ(::sigwait(&end, &signal), 0);
  ASSERT_FALSE(waited);
  EXPECT_EQ(waited.error().code, ErrorCode::kInterrupted) << waited.error().Message();
}

}  // namespace
}  // namespace nucleus::netns
