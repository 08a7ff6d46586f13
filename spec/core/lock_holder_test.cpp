#include "spec/core/lock_holder.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace nucleus {
namespace {

TEST(LockHolder, IsReadAsItWasWritten) {
  const auto holder = ParseLockHolder(LockHolderLine("shop"));
  EXPECT_EQ(holder.pid, ::getpid());
  EXPECT_TRUE(holder.text.starts_with("process " + std::to_string(::getpid()) + " (")) << holder.text;
  EXPECT_TRUE(holder.text.ends_with(", for shop)")) << holder.text;
  EXPECT_EQ(ParseLockHolder(LockHolderLine()).text.find(", for"), std::string::npos);
}

TEST(LockHolder, WhatNobodyWroteIsNobody) {
  using namespace std::string_view_literals;
  for (const auto line :
       {""sv, "\n"sv, "\0\0\0"sv, "12"sv, "x y"sv, "-4 nucleus"sv, "0 nucleus"sv, "99999999999 nucleus"sv}) {
    EXPECT_EQ(ParseLockHolder(line).pid, 0) << line;
    EXPECT_EQ(ParseLockHolder(line).text, "another process") << line;
  }
}

TEST(LockHolder, IsOneLineFitForATerminal) {
  EXPECT_EQ(ParseLockHolder("7 a\x1b[2Jb\nnext").text, "process 7 (a\\x1b[2Jb)");
}

}  // namespace
}  // namespace nucleus
