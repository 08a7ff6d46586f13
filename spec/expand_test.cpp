#include "spec/expand.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

struct ExpandCase {
  const char* text;
  const char* expected;  // the text with its variables, or the cause of the refusal
};

Outside World(testing::Files& files) {
  files.variables = {{"A", "a"}, {"EMPTY", ""}, {"DOLLAR", "${A}"}, {"NUL", std::string("x\0", 2)}, {"BYTES", "\xff"}};
  return files.outside();
}

class Expands : public ::testing::TestWithParam<ExpandCase> {};
TEST_P(Expands, ToText) {
  testing::Files files;
  const auto text = ExpandVariables(GetParam().text, World(files));
  ASSERT_TRUE(text) << text.error().cause;
  EXPECT_EQ(*text, GetParam().expected) << GetParam().text;
}
INSTANTIATE_TEST_SUITE_P(
    Variables, Expands,
    ::testing::Values(ExpandCase{"", ""}, ExpandCase{"${A}", "a"}, ExpandCase{"x${A}y${A}", "xaya"},
                      ExpandCase{"${EMPTY}", ""}, ExpandCase{"${EMPTY:-d}", "d"}, ExpandCase{"${NONE:-d}", "d"},
                      ExpandCase{"${NONE:-}", ""}, ExpandCase{"${A:-d}", "a"}, ExpandCase{"${A:?not given}", "a"},
                      ExpandCase{"${NONE:-${A}}", "a"}, ExpandCase{"${NONE:-<${ALSO:-${A}}>}", "<a>"},
                      ExpandCase{"${A:-${NONE}}", "a"},  // a default that is not needed is not looked at
                      ExpandCase{"${DOLLAR}", "${A}"},   // what a variable holds is not expanded again
                      ExpandCase{"$$", "$"}, ExpandCase{"$${A}", "${A}"}, ExpandCase{"$$$$", "$$"},
                      ExpandCase{"$HOME $(x) $", "$HOME $(x) $"}, ExpandCase{"${NONE:-$${x}", "${x"},
                      ExpandCase{"a}b", "a}b"}));

class DoesNotExpand : public ::testing::TestWithParam<ExpandCase> {};
TEST_P(DoesNotExpand, AndSaysWhy) {
  testing::Files files;
  const auto text = ExpandVariables(GetParam().text, World(files));
  ASSERT_FALSE(text) << *text;
  EXPECT_NE(text.error().cause.find(GetParam().expected), std::string::npos) << text.error().cause;
}
INSTANTIATE_TEST_SUITE_P(
    Variables, DoesNotExpand,
    ::testing::Values(ExpandCase{"${NONE}", "variable NONE is not set; set it, or write ${NONE:-default}"},
                      ExpandCase{"${NONE:?say where}", "variable NONE is not set: say where"},
                      ExpandCase{"${EMPTY:?say where}", "variable EMPTY is not set: say where"},
                      ExpandCase{"${A", "'${' without '}'"}, ExpandCase{"${A:-${B}", "'${' without '}'"},
                      ExpandCase{"${}", "not a variable"}, ExpandCase{"${1}", "not a variable"},
                      ExpandCase{"${A-b}", "not a variable"}, ExpandCase{"${A:+b}", "not a variable"},
                      ExpandCase{"${A B}", "not a variable"}, ExpandCase{"${NUL}", "has a NUL in it"},
                      ExpandCase{"${BYTES}", "is not UTF-8"},
                      ExpandCase{"${NONE:-${ALSO}}", "variable ALSO is not set"}));

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
