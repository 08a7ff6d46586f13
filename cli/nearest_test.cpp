#include "cli/nearest.hpp"

#include <gtest/gtest.h>

#include <array>

namespace nucleus::cli {
namespace {

constexpr std::array<std::string_view, 6> kWords{"apply", "destroy", "diff", "drift", "detailed-exitcode", "ps"};

TEST(Nearest, FindsSlips) {
  EXPECT_EQ(Nearest("aply", kWords), "apply");
  EXPECT_EQ(Nearest("appyl", kWords), "apply");
  EXPECT_EQ(Nearest("dif", kWords), "diff");
  EXPECT_EQ(Nearest("DESTROY", kWords), "destroy");
  EXPECT_EQ(Nearest("sp", kWords), "ps");
}

TEST(Nearest, FindsBeginnings) {
  EXPECT_EQ(Nearest("detailed", kWords), "detailed-exitcode");
}

TEST(Nearest, LeavesTheStrangeAlone) {
  EXPECT_EQ(Nearest("kubernetes", kWords), std::nullopt);
  EXPECT_EQ(Nearest("", kWords), std::nullopt);
  EXPECT_EQ(Nearest(std::string(100'000, 'a'), kWords), std::nullopt);
}

}  // namespace
}  // namespace nucleus::cli
