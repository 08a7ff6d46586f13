#include "actuators/supervisor/terminal_relay.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <vector>

#include "actuators/sys/pipe.hpp"

namespace nucleus::process {
namespace {

// With a pipe for the caller's standard input.
class TerminalRelayTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_GE(master_, 0);
    ASSERT_EQ(::dup2(input_.read.get(), STDIN_FILENO), STDIN_FILENO);
  }
  void TearDown() override { ::dup2(before_.get(), STDIN_FILENO); }

  std::vector<int> Typed(const std::string& words) {
    std::vector<int> signals;
    EXPECT_EQ(::write(input_.write.get(), words.data(), words.size()), static_cast<ssize_t>(words.size()));
    const std::array<pollfd, TerminalRelay::kPolls> polls{pollfd{STDIN_FILENO, POLLIN, POLLIN}};
    relay_.Pump(polls, [&](int signal) { signals.push_back(signal); });
    return signals;
  }

  sys::Fd before_{::dup(STDIN_FILENO)};
  sys::Pipe input_ = sys::MakePipe("input").value();
  int master_ = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  TerminalRelay relay_{sys::Fd(master_)};
};

// A look at the workload takes its time, and the workload says which characters they are.
TEST_F(TerminalRelayTest, TellsOfASignalOnceForAPiece) {
  termios settings{};
  ASSERT_EQ(::tcgetattr(master_, &settings), 0);
  settings.c_cc[VINTR] = 'e';
  ASSERT_EQ(::tcsetattr(master_, TCSANOW, &settings), 0);
  EXPECT_EQ(Typed("eee\x1c"
                  "e\x1c"
                  "e"),
            (std::vector{SIGINT, SIGQUIT}));
  EXPECT_EQ(Typed("e"), std::vector{SIGINT});
  EXPECT_EQ(Typed("\x03"), std::vector<int>());
}

TEST_F(TerminalRelayTest, WhatIsQuotedIsNoSignalAlsoInThePieceBehind) {
  EXPECT_EQ(Typed("\x16\x03 \x16"), std::vector<int>());
  EXPECT_EQ(Typed("\x03"), std::vector<int>());
  EXPECT_EQ(Typed("\x03"), std::vector{SIGINT});
}

}  // namespace
}  // namespace nucleus::process
