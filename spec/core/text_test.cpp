#include "spec/core/text.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace nucleus {
namespace {

TEST(Text, WhatATerminalWouldObeyIsSpeltOut) {
  EXPECT_EQ(Printable("a\x1b[31mb"), "a\\x1b[31mb");
  EXPECT_EQ(Printable("\x9b"
                      "31m"),
            "\\x9b31m")
      << "a C1 control as a bare byte";
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "\\xc2\\x9b2J")
      << "the same in UTF-8";
  EXPECT_EQ(Printable("\xc2\x9d"
                      "0;P\a"),
            "\\xc2\\x9d0;P\\x07");
  EXPECT_EQ(Printable("\xe2\x80\xae"
                      "gpj"),
            "\\xe2\\x80\\xaegpj")
      << "right-to-left override";
}

TEST(Text, WordsOfAnyLanguageStay) {
  for (const char* words : {"Straße → 東京", "naïve\xc2\xa0words", "\xf0\x9f\x90\xb3"})
    EXPECT_EQ(Printable(words), words);
}

TEST(Text, NewlinesStayWhereTheyAreOurs) {
  EXPECT_EQ(Printable("a\nb\tc"), "a\\x0ab\\x09c");
  EXPECT_EQ(Printable("a\nb\tc", "\n"), "a\nb\\x09c");
}

TEST(Text, WhatIsNoUtf8IsSpeltOut) {
  EXPECT_EQ(Printable("\xff"
                      "a\xe2\x82"),
            "\\xffa\\xe2\\x82");
  EXPECT_EQ(Utf8Length("\xed\xa0\x80"), 0U) << "a surrogate";
  EXPECT_EQ(Utf8Length("\xc0\xaf"), 0U) << "overlong";
  EXPECT_EQ(Utf8Length("\xf4\x90\x80\x80"), 0U) << "beyond Unicode";
}

RC_GTEST_PROP(Text, WhatComesOutIsTextAndGoesThroughUnchanged, (const std::string& any)) {
  const std::string once = Printable(any);
  RC_ASSERT(Printable(once) == once);
  RC_ASSERT(std::none_of(once.begin(), once.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; }));
}

}  // namespace
}  // namespace nucleus
