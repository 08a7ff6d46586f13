#include "spec/expand.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

struct Case {
  const char* text;
  const char* expected;  // the text with its variables, or the cause of the refusal
};

Outside World(testing::Files& files) {
  files.variables = {{"A", "a"}, {"EMPTY", ""}, {"DOLLAR", "${A}"}, {"NUL", std::string("x\0", 2)}, {"BYTES", "\xff"}};
  return files.outside();
}

class Expands : public ::testing::TestWithParam<Case> {};
TEST_P(Expands, ToText) {
  testing::Files files;
  const auto text = ExpandVariables(GetParam().text, World(files));
  ASSERT_TRUE(text) << text.error().cause;
  EXPECT_EQ(*text, GetParam().expected) << GetParam().text;
}
INSTANTIATE_TEST_SUITE_P(Variables, Expands,
                         ::testing::Values(Case{"", ""}, Case{"${A}", "a"}, Case{"x${A}y${A}", "xaya"},
                                           Case{"${EMPTY}", ""}, Case{"${EMPTY:-d}", "d"}, Case{"${NONE:-d}", "d"},
                                           Case{"${NONE:-}", ""}, Case{"${A:-d}", "a"}, Case{"${A:?not given}", "a"},
                                           Case{"${NONE:-${A}}", "a"}, Case{"${NONE:-<${ALSO:-${A}}>}", "<a>"},
                                           Case{"${A:-${NONE}}", "a"},  // a default that is not needed is not looked at
                                           Case{"${DOLLAR}", "${A}"},   // what a variable holds is not expanded again
                                           Case{"$$", "$"}, Case{"$${A}", "${A}"}, Case{"$$$$", "$$"},
                                           Case{"$HOME $(x) $", "$HOME $(x) $"}, Case{"${NONE:-$${x}", "${x"},
                                           Case{"a}b", "a}b"}));

class DoesNotExpand : public ::testing::TestWithParam<Case> {};
TEST_P(DoesNotExpand, AndSaysWhy) {
  testing::Files files;
  const auto text = ExpandVariables(GetParam().text, World(files));
  ASSERT_FALSE(text) << *text;
  EXPECT_NE(text.error().cause.find(GetParam().expected), std::string::npos) << text.error().cause;
}
INSTANTIATE_TEST_SUITE_P(
    Variables, DoesNotExpand,
    ::testing::Values(Case{"${NONE}", "variable NONE is not set; set it, or write ${NONE:-default}"},
                      Case{"${NONE:?say where}", "variable NONE is not set: say where"},
                      Case{"${EMPTY:?say where}", "variable EMPTY is not set: say where"},
                      Case{"${A", "'${' without '}'"}, Case{"${A:-${B}", "'${' without '}'"},
                      Case{"${}", "not a variable"}, Case{"${1}", "not a variable"}, Case{"${A-b}", "not a variable"},
                      Case{"${A:+b}", "not a variable"}, Case{"${A B}", "not a variable"},
                      Case{"${NUL}", "has a NUL in it"}, Case{"${BYTES}", "is not UTF-8"},
                      Case{"${NONE:-${ALSO}}", "variable ALSO is not set"}));

TEST(Variables, AreBoundedInDepthAndLength) {
  testing::Files files;
  std::string deep = "x";
  for (int i = 0; i < 20; ++i) deep = "${NONE:-" + deep + "}";
  EXPECT_EQ(ExpandVariables(deep, files.outside()).error().cause, "variables nested too deeply");
  files.variables["BIG"] = std::string(100'000, 'x');
  std::string many;
  for (int i = 0; i < 100; ++i) many += "${BIG}";
  EXPECT_EQ(ExpandVariables(many, files.outside()).error().cause, "longer than 1M once the variables are put in");
}

TEST(Variables, ManyLongStringsAreRefusedTogether) {
  testing::Files files;
  files.variables["BIG"] = std::string(100'000, 'x');
  std::string list = "command = [";
  for (int i = 0; i < 1000; ++i) list += "'${BIG}',";
  EXPECT_NE(files.Problems(testing::Service(list + "]")).find("the variables of this file are too long together"),
            std::string::npos);
}

}  // namespace
}  // namespace nucleus::spec
