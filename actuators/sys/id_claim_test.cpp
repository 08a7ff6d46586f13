#include "actuators/sys/id_claim.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace nucleus::sys {
namespace {

class Claims : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "claimsXXXXXX";
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }

  // What a process other than this one is given.
  std::uint32_t InAnotherProcess(const IdSpan& from) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const auto range = ClaimRange(from, 10, directory_);
      ::_exit(range ? static_cast<int>(range->first) : 255);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return static_cast<std::uint32_t>(WEXITSTATUS(status));
  }

  std::string directory_;
  const IdSpan from_{10, 30};
};

TEST_F(Claims, AreDifferentAndEndWithTheProcess) {
  const auto first = ClaimRange(from_, 10, directory_);
  ASSERT_TRUE(first);
  EXPECT_EQ(*first, (IdSpan{10, 10}));
  EXPECT_EQ(InAnotherProcess(from_), 20U);
  EXPECT_EQ(InAnotherProcess(from_), 20U);
  EXPECT_EQ(ClaimRange(from_, 10, directory_)->first, 20U);
  EXPECT_EQ(ClaimRange(from_, 10, directory_)->first, 30U);
  EXPECT_FALSE(ClaimRange(from_, 10, directory_));
  EXPECT_EQ(InAnotherProcess(from_), 255U);
}

TEST_F(Claims, AreNotOfWhatIsLent) {
  EXPECT_EQ(ClaimRange(from_, 10, directory_, {{5, 6}, {25, 1}})->first, 30U);
}

TEST_F(Claims, AreSharedByWhoeverWatches) {
  ASSERT_TRUE(ClaimRange(from_, 10, directory_));
  const auto shared = ShareRange(10, directory_);
  ASSERT_TRUE(shared);
  EXPECT_TRUE(*shared);
  EXPECT_FALSE(*ShareRange(20, directory_));  // nobody claimed it
}

}  // namespace
}  // namespace nucleus::sys
