// The text itself: encodings, line ends, nesting, size, and what is not TOML.
#include <gtest/gtest.h>

#include <ctime>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;
using namespace std::string_literals;

TEST(Parse, AByteOrderMarkAndCarriageReturnsAreNothing) {
  const std::string text =
      "\xef\xbb\xbfname = 's'\r\n[services.a]\r\nservice_mode = 'agent'\r\ncommand = ['x']\r\npids = 1\r\n";
  const auto loaded = Files().Load(text);
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(loaded.topology->services.at("a").pids, 1U);
  EXPECT_EQ(Files().Problems(text + "memroy = 1\r\n"), "shop.toml:6:1: unknown key 'memroy', did you mean 'memory'?\n");
  EXPECT_EQ(Files().Problems("\xef\xbb\xbfnaem = 's'\r\nname = 's'\r\n").substr(0, 29),
            "shop.toml:1:1: unknown key 'n");
}

TEST(Parse, ColumnsCountCharacters) {
  EXPECT_EQ(Files().Problems("name = 's'\n'ä' = 'ö'\n"), "shop.toml:2:1: unknown key 'ä'\n");
  EXPECT_EQ(Files().Problems(testing::Service("environment = { A = 'ö', B = 1.5 }")).substr(0, 15), "shop.toml:6:30:");
}

struct NotToml {
  std::string text;
  const char* place;
};
class Broken : public ::testing::TestWithParam<NotToml> {};
TEST_P(Broken, TextIsRefusedAtItsPlace) {
  const auto problems = Files().Problems(GetParam().text);
  EXPECT_TRUE(problems.starts_with(GetParam().place)) << problems;
  EXPECT_EQ(std::ranges::count(problems, '\n'), 1) << problems;
}
INSTANTIATE_TEST_SUITE_P(
    Parse, Broken,
    ::testing::Values(
        NotToml{"name = \n", "shop.toml:1:8: not TOML: "}, NotToml{"name = 's'\n[a\n", "shop.toml:2:3: not TOML: "},
        NotToml{"name = 's'\nname = 't'\n", "shop.toml:2:"}, NotToml{"[services.a]\n[services.a]\n", "shop.toml:2:"},
        NotToml{"a = 99999999999999999999\n", "shop.toml:1:"}, NotToml{"a = \"\xff\"\n", "shop.toml:1:5: not TOML: "},
        NotToml{"a = '\xed\xa0\x80'\n", "shop.toml:1:"}, NotToml{"a\0b = 1\n"s, "shop.toml:1:"},
        NotToml{"a = 'x\0'\n"s, "shop.toml:1:"},
        NotToml{"\x7f"
                "ELF",
                "shop.toml:1:1: not TOML: "},
        NotToml{"a = 'never ends\n", "shop.toml:1:"}, NotToml{"[# no name\n", "shop.toml:1:2: not TOML: "},
        NotToml{"\xef\xbb\xbf# ä\na = 'ä' # ä\nb =\xc8\xa8\n", "shop.toml:3:4: not TOML: "},
        NotToml{"a = 8\"p\xc8\xa8\"\n", "shop.toml:1:6: not TOML: "}, NotToml{"[[#]]\n", "shop.toml:1:3: not TOML: "}));

TEST(Parse, ANulWrittenAsAnEscapeIsRefused) {
  EXPECT_EQ(Files().Problems(testing::Service("workdir = \"/a\\u0000b\"")),
            "shop.toml:6:11: a string has a NUL in it, which no program could be given\n");
  EXPECT_NE(Files().Problems("name='s'\n\"a\\u0000\" = 1\n").find("shop.toml:2:1: a key has a NUL in it"),
            std::string::npos);
}

std::string Repeated(std::string_view text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

TEST(Parse, DepthIsBounded) {
  for (const auto& text :
       {"a = " + Repeated("[", 100'000), "a = " + Repeated("[", 30) + Repeated("]", 30),
        Repeated("a.", 100'000) + "b = 1", "[" + Repeated("a.", 100'000) + "b]", "a = " + Repeated("{a=", 100'000),
        "a = " + Repeated("{a.b.c.d.e.f.g.h=", 1000) + "1" + Repeated("}", 1000)}) {
    const auto problems = Files().Problems(text);
    EXPECT_TRUE(problems.starts_with("shop.toml:1:")) << problems.substr(0, 200);
  }
}

#ifdef NUCLEUS_SANITIZED
constexpr double kBound = 60;  // seconds of the processor
#else
constexpr double kBound = 5;
#endif

// What is large is answered in time. The bound is generous: it is there for what grows with the square.
struct Large {
  const char* what;
  std::string text;
};
class LargeFiles : public ::testing::TestWithParam<Large> {};
TEST_P(LargeFiles, AreReadInTime) {
  const Files files;
  const auto begin = std::clock();
  const auto loaded = files.Load(GetParam().text);
  const double took = static_cast<double>(std::clock() - begin) / CLOCKS_PER_SEC;  // of the processor, not the wall
  EXPECT_LT(took, kBound) << GetParam().what;
  EXPECT_LE(loaded.problems.size(), 1001U) << GetParam().what;
}

template <class Line>
std::string Numbered(std::string text, Line line) {
  for (int i = 0; text.size() < (1 << 20); ++i) text += line(std::to_string(i));
  return text;
}

std::string Subnet(const std::string& i) {
  const int n = std::stoi(i);
  return "10." + std::to_string(n / 4096 % 256) + "." + std::to_string(n / 16 % 256) + "." +
         std::to_string(n % 16 * 16) + "/28";
}

INSTANTIATE_TEST_SUITE_P(
    Parse, LargeFiles,
    ::testing::Values(
        Large{"unknown keys", Numbered("name='s'\n[services.a]\n", [](const auto& i) { return "k" + i + "=1\n"; })},
        Large{"services", Numbered("name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\n",
                                   [](const auto& i) { return "[services.s" + i + "]\n"; })},
        Large{"networks",
              Numbered("name='s'\n",
                       [](const auto& i) { return "[networks.n" + i + "]\nsubnet='" + Subnet(i) + "'\n"; })},
        Large{"services on networks", Numbered("name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\n",
                                               [](const auto& i) {
                                                 return "[networks.n" + i + "]\n[services.s" + i + "]\nnetworks=['x" +
                                                        i + "']\n";
                                               })},
        Large{"one service on many networks",
              Numbered("name='s'\n[services.a]\nnetworks=[", [](const auto& i) { return "'n" + i + "',"; }) + "]\n"},
        Large{"a chain of dependencies",
              Numbered("name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\n[services.s]\n",
                       [](const auto& i) {
                         return "[services.s" + i + "]\ndepends_on=['s" +
                                (i == "0" ? "" : std::to_string(std::stoi(i) - 1)) + "']\n";
                       })},
        Large{"many cycles", Numbered("name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\n",
                                      [](const auto& i) {
                                        return "[services.a" + i + "]\ndepends_on=['b" + i + "']\n[services.b" + i +
                                               "]\ndepends_on=['a" + i + "']\n";
                                      })},
        Large{"dependencies on nobody",
              Numbered("name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\n",
                       [](const auto& i) { return "[services.a" + i + "]\ndepends_on=['b" + i + "']\n"; })},
        Large{"one port on many addresses", Numbered("name='s'\n[services.a]\nport_forwards=[",
                                                     [](const auto& i) {
                                                       const int n = std::stoi(i);
                                                       return "'10." + std::to_string(n / 65536) + "." +
                                                              std::to_string(n / 256 % 256) + "." +
                                                              std::to_string(n % 256) + ":1:1',";
                                                     }) +
                                                "]\n"},
        Large{"ranges of ports",
              Numbered("name='s'\n[services.a]\nport_forwards=[", [](const auto&) { return "'1-65535:1-65535',"; }) +
                  "]\n"},
        Large{"mounts",
              Numbered("name='s'\n[services.a]\nvolumes=[", [](const auto& i) { return "'v:/" + i + "',"; }) + "]\n"},
        Large{"volumes on one path",
              Numbered("name='s'\n", [](const auto& i) { return "[volumes.v" + i + "]\npath='/srv/x'\n"; })},
        Large{
            "environment",
            Numbered("name='s'\n[services.a]\nenvironment=[", [](const auto& i) { return "'A" + i + "=1',"; }) + "]\n"},
        Large{"a long string", "name='s'\n[services.a]\ncommand=['" + std::string(1 << 20, 'x') + "']\n"},
        Large{"a long key", "name='s'\n" + std::string(1 << 20, 'x') + "=1\n"}),
    [](const auto& one) {
      std::string name = one.param.what;
      std::ranges::replace(name, ' ', '_');
      return name;
    });

TEST(Parse, TheRestOfTooManyProblemsIsCounted) {
  std::string text = "name='s'\n[services.a]\n";
  for (int i = 0; i < 1500; ++i) text += "k" + std::to_string(i) + "=1\n";
  const auto problems = Files().Load(text).problems;
  ASSERT_EQ(problems.size(), 1001U);
  EXPECT_EQ(problems.back().Text(), "and 503 more problems");  // no rootfs, no memory, no command either
}

}  // namespace
}  // namespace nucleus::spec
