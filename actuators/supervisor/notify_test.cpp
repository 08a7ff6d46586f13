#include "actuators/supervisor/notify.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

TEST(Notification, TellsOfTheWorkloadAlone) {
  const auto said = ReadNotification(
      "READY=1\nSTATUS=serving 3 of 4\nMAINPID=1\nFDSTORE=1\nWATCHDOG=1\nX=2\nSTOPPING=1\nWATCHDOG_USEC=5");
  EXPECT_TRUE(said.ready);
  EXPECT_EQ(said.words, "serving 3 of 4");
  EXPECT_EQ(said.passed_on, "STATUS=serving 3 of 4\nWATCHDOG=1\n");
}

TEST(Notification, OfNothingThereIsNothing) {
  for (const auto* text : {"", "\n\n", "READY=0", "READY=12", " READY=1", "BARRIER=1", "NOTIFYACCESS=all"}) {
    const auto said = ReadNotification(text);
    EXPECT_FALSE(said.ready || said.words) << text;
    EXPECT_EQ(said.passed_on, "") << text;
  }
}

sockaddr_un AddressOf(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

class NotifySocketTest : public ::testing::Test {
 protected:
  sys::TemporaryDirectory directory_;
  [[nodiscard]] std::string path() const { return directory_.path() + "/notify/socket"; }
  [[nodiscard]] sys::Fd Sender() const {
    sys::Fd sender(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const auto address = AddressOf(path());
    EXPECT_EQ(::connect(sender.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return sender;
  }
};

TEST_F(NotifySocketTest, GivesWhatWasSaidInTurn) {
  const auto socket = NotifySocket::Make(directory_.path());
  ASSERT_TRUE(socket);
  const auto sender = Sender();
  ASSERT_EQ(::send(sender.get(), "READY=1", 7, 0), 7);
  ASSERT_EQ(::send(sender.get(), "", 0, 0), 0);
  EXPECT_EQ(socket->Receive(), "READY=1");
  EXPECT_EQ(socket->Receive(), "");
  EXPECT_EQ(socket->Receive(), std::nullopt);
  struct stat st{};
  ASSERT_EQ(::stat((directory_.path() + "/notify").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777U, 0700U);  // nobody but who has the socket mounted
}

TEST_F(NotifySocketTest, IsMadeAnewWhereOneWasLeft) {
  {
    ASSERT_TRUE(NotifySocket::Make(directory_.path()));
  }
  EXPECT_TRUE(NotifySocket::Make(directory_.path()));
}

TEST_F(NotifySocketTest, ClosesWhatIsSentAlong) {
  const auto socket = NotifySocket::Make(directory_.path());
  ASSERT_TRUE(socket);
  const auto sender = Sender();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_TRUE(sys::SendFd(sender.get(), ends[1]));
  ::close(ends[1]);
  EXPECT_TRUE(socket->Receive());
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), 0);  // its last writer is gone: the barrier is passed
  ::close(ends[0]);
}

TEST_F(NotifySocketTest, AManagerIsWhoeverTheEnvironmentNames) {
  const auto socket = NotifySocket::Make(directory_.path());
  ASSERT_TRUE(socket);
  ::setenv("NOTIFY_SOCKET", path().c_str(), 1);
  const auto manager = Manager::FromEnvironment();
  ::unsetenv("NOTIFY_SOCKET");
  ASSERT_TRUE(manager.is_there());
  manager.Tell(ReadyLines(7));
  EXPECT_EQ(socket->Receive(), "READY=1\nMAINPID=7\n");
  EXPECT_FALSE(Manager::FromEnvironment().is_there());
}

}  // namespace
}  // namespace nucleus::process
