// The reader of JSON of others: places, duplicates, limits.
#include "policy/json.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <chrono>
#include <functional>

namespace nucleus::policy {
namespace {

std::string JsonProblems(std::string_view text, const JsonLimits& limits = {}) {
  const LineIndex lines(text);
  std::string out;
  for (const auto& problem : ReadJson(text, limits).problems) {
    const auto place = lines.At(problem.at);
    out += std::to_string(place.line) + ":" + std::to_string(place.column) + ": " + problem.message + "\n";
  }
  return out;
}

// Every value's place is where its text begins.
void CheckPlaces(const Json& json, std::string_view text) {
  const char first = text.at(json.at);
  switch (json.type) {
    case Json::Type::kNull:
      EXPECT_EQ(text.substr(json.at, 4), "null");
      break;
    case Json::Type::kBool:
      EXPECT_EQ(first, json.flag ? 't' : 'f');
      break;
    case Json::Type::kUnsigned:
      EXPECT_EQ(text.substr(json.at, std::to_string(json.number).size()), std::to_string(json.number));
      break;
    case Json::Type::kSigned:
      EXPECT_EQ(first, '-');
      break;
    case Json::Type::kFloat:
      break;
    case Json::Type::kString:
      EXPECT_EQ(text.substr(json.at, json.text.size() + 2), "\"" + json.text + "\"");
      break;
    case Json::Type::kArray:
      EXPECT_EQ(first, '[');
      break;
    case Json::Type::kObject:
      EXPECT_EQ(first, '{');
      break;
  }
  for (const auto& item : json.items) CheckPlaces(item, text);
  for (const auto& member : json.members) {
    EXPECT_EQ(text.substr(member.at, member.name.size() + 2), "\"" + member.name + "\"");
    CheckPlaces(member.value, text);
  }
}

TEST(Json, RemembersWhereValuesAre) {
  for (const std::string_view text :
       {R"({"a": [1,2 ,3], "b":{"c":null,"d":[[],[{}],""]}, "e":-1,"f" : true, "g":1.5, "h":18446744073709551615})",
        "[\n  \"x, y]\", {\"k:}\":0}\n,7]", "\"s\"", " 12 ", "12"}) {
    const auto read = ReadJson(text, {});
    ASSERT_TRUE(read.value) << text;
    EXPECT_TRUE(read.problems.empty());
    CheckPlaces(*read.value, text);
  }
}

TEST(Json, CountsLinesAndCharacters) {
  const std::string_view text = "{\"a\":1,\n \"ä\": \"ö\", \"a\": 2}";
  EXPECT_EQ(JsonProblems(text), "2:12: the key 'a' is there twice\n");
  EXPECT_EQ(ReadJson(text, {}).value->Find("a")->number, 1U);
}

TEST(Json, RefusesWhatIsNotJson) {
  EXPECT_EQ(JsonProblems("{\"a\":\n  nope}").substr(0, 17), "2:4: not JSON: sy");
  EXPECT_NE(JsonProblems(""), "");
  EXPECT_NE(JsonProblems("{} {}"), "");
  EXPECT_NE(JsonProblems("[1,]"), "");
  EXPECT_NE(JsonProblems("{\"a\":1 // comment\n}"), "");
  EXPECT_NE(JsonProblems("\"\xff\""), "");
  EXPECT_NE(JsonProblems("[NaN]"), "");
}

TEST(Json, HasLimits) {
  EXPECT_EQ(JsonProblems("[[[[0]]]]", {.depth = 3}), "1:4: nested too deeply\n");
  EXPECT_EQ(JsonProblems("[1,2,3,4]", {.values = 4}), "1:8: too many values\n");
  EXPECT_EQ(JsonProblems("{\"a\":1,\"b\":2}", {.values = 4}), "1:12: too many values\n");
  EXPECT_EQ(JsonProblems("[1, 2, 3]" + std::string(2048, ' '), {.bytes = 2048}), "1:1: larger than 2K\n");
}

TEST(Json, RefusesAMebibyteOfGarbageAtOnce) {
  const auto repeated = [](std::string_view head, std::string_view unit) {
    std::string text(head);
    while (text.size() + unit.size() <= (std::size_t{1} << 20)) text += unit;
    return text;
  };
  for (const auto& text : {repeated("", "["), repeated("", "{\"a\":"), repeated("[", "0,"), repeated("{", "\"a\":0,"),
                           repeated("", "\x01"), repeated("\"", "\\u0041"), repeated("[", "[],"), repeated("", "\n"),
                           repeated("", "9"), repeated("[", "\"\",")}) {
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_FALSE(ReadJson(text, {}).value);
    // 100 ms where nothing else runs and nothing is instrumented.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2)) << text.substr(0, 8);
  }
}

RC_GTEST_PROP(Json, AnyTextIsReadOrRefused, (const std::string& text)) {
  const auto read = ReadJson(text, {});
  RC_ASSERT(read.value.has_value() || !read.problems.empty());
}

}  // namespace
}  // namespace nucleus::policy
