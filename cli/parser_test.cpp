#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "cli/arguments.hpp"

namespace nucleus::cli {
namespace {

Arguments Good(const std::vector<std::string>& words) {
  auto parsed = Parse(words);
  if (const auto* error = std::get_if<UsageError>(&parsed)) {
    ADD_FAILURE() << error->message;
    return Arguments(*FindCommand("help"));
  }
  return std::get<Arguments>(std::move(parsed));
}

UsageError Bad(const std::vector<std::string>& words) {
  auto parsed = Parse(words);
  if (const auto* error = std::get_if<UsageError>(&parsed)) return *error;
  ADD_FAILURE() << "was accepted";
  return {};
}

TEST(Parser, ReadsOptionsAndOperands) {
  const auto a = Good({"apply", "-f", "a.toml", "--file=b.toml", "-fc.toml", "-f", "-", "--yes", "--parallelism", "8"});
  EXPECT_EQ(a.command().id, CommandId::kApply);
  EXPECT_EQ(a.Values("file"), (std::vector<std::string>{"a.toml", "b.toml", "c.toml", "-"}));
  EXPECT_TRUE(a.Has("yes"));
  EXPECT_FALSE(a.Has("delete-data"));
  EXPECT_EQ(a.Unsigned("parallelism"), 8u);
  EXPECT_EQ(a.Time("timeout"), Duration{300'000});
  EXPECT_TRUE(a.operands().empty());
}

TEST(Parser, AnOptionTakesOneWord) {
  const auto a = Good({"apply", "--out", "x", "saved.plan"});
  EXPECT_EQ(a.Value("out"), "x");
  EXPECT_EQ(a.operands(), std::vector<std::string>{"saved.plan"});
}

TEST(Parser, TakesListsApart) {
  const auto a = Good({"diff", "--fail-on", "destroy,drift", "--fail-on", "restart", "--target", "service.a,volume.b"});
  EXPECT_EQ(a.Values("fail-on"), (std::vector<std::string>{"destroy", "drift", "restart"}));
  EXPECT_EQ(a.Values("target"), (std::vector<std::string>{"service.a", "volume.b"}));
}

TEST(Parser, CommonOptionsMayComeFirst) {
  const auto a = Good({"-v", "--state-dir", "/s", "--runtime-dir=/r", "diff", "-f", "x"});
  EXPECT_EQ(a.command().id, CommandId::kDiff);
  EXPECT_TRUE(a.Has("verbose"));
  EXPECT_EQ(a.Value("state-dir"), "/s");
  EXPECT_EQ(a.Value("runtime-dir"), "/r");
}

TEST(Parser, FindsCommandsOfAGroup) {
  EXPECT_EQ(Good({"compose", "up", "-f", "x"}).command().id, CommandId::kComposeUp);
  EXPECT_EQ(Bad({"compose", "upp"}).hint, "did you mean 'compose up'?");
  EXPECT_EQ(Bad({"compose"}).message, "needs one of validate, up, ps, down");
  EXPECT_EQ(Good({"compose", "--help"}).operands(), std::vector<std::string>{"compose"});
}

TEST(Parser, HelpAndVersionAreCommands) {
  EXPECT_EQ(Good({}).command().id, CommandId::kHelp);
  EXPECT_EQ(Good({"--help"}).command().id, CommandId::kHelp);
  EXPECT_EQ(Good({"--version"}).command().id, CommandId::kVersion);
  const auto a = Good({"rollback", "--help"});  // though its operands are missing
  EXPECT_EQ(a.command().id, CommandId::kHelp);
  EXPECT_EQ(a.operands(), std::vector<std::string>{"rollback"});
}

TEST(Parser, SuggestsTheNearest) {
  EXPECT_EQ(Bad({"aply"}).message, "unknown command 'aply'");
  EXPECT_EQ(Bad({"aply"}).hint, "did you mean 'apply'?");
  EXPECT_EQ(Bad({"apply", "--paralelism=3"}).message, "unknown option '--paralelism'");
  EXPECT_EQ(Bad({"apply", "--paralelism=3"}).hint, "did you mean '--parallelism'?");
  EXPECT_EQ(Bad({"apply", "-x"}).message, "unknown option '-x'");
  EXPECT_NE(Bad({"diff", "--output", "jsn"}).message.find("did you mean 'json'?"), std::string::npos);
  EXPECT_EQ(Bad({"diff", "--yes"}).message, "unknown option '--yes'");  // of apply, not of diff
}

TEST(Parser, RefusesGarbage) {
  EXPECT_EQ(Bad({"apply", "--parallelism", "many"}).message, "option '--parallelism': 'many' is not a number");
  EXPECT_NE(Bad({"apply", "--timeout", "soon"}).message.find("is not a duration"), std::string::npos);
  EXPECT_NE(Bad({"diff", "--fail-on", "destroy,explode"}).message.find("'explode' is not one of"), std::string::npos);
  EXPECT_NE(Bad({"diff", "--target", "web"}).message.find("is not an address"), std::string::npos);
  EXPECT_EQ(Bad({"diff", "--output", "json", "--output", "text"}).message, "option '--output' is given twice");
  EXPECT_EQ(Bad({"diff", "stray"}).message, "unexpected argument 'stray'");
  EXPECT_EQ(Bad({"rollback", "shop"}).message, "needs REVISION");
  for (const char* digest : {"sha256:7c1e", "", "sha256:", "sha512:0123456789ab", "0123456789ag", "…"}) {
    EXPECT_NE(Bad({"diff", "--expect", digest}).message.find("is not a plan's digest"), std::string::npos) << digest;
  }
  Bad({"diff", "-f"});
}

TEST(Parser, AfterTwoDashesEverythingIsAnOperand) {
  EXPECT_EQ(Good({"show", "--", "-odd-name"}).operands(), std::vector<std::string>{"-odd-name"});
}

TEST(Parser, TwoDashesBehindAProgramAreItsOwn) {
  EXPECT_EQ(Good({"exec", "a", "grep", "--", "-x"}).operands(), (std::vector<std::string>{"a", "grep", "--", "-x"}));
  EXPECT_EQ(Good({"exec", "a", "--", "grep", "--", "-x"}).operands(),
            (std::vector<std::string>{"a", "grep", "--", "-x"}));
  EXPECT_EQ(Good({"run", "-t", "grep", "-e", "x", "--"}).operands(),
            (std::vector<std::string>{"grep", "-e", "x", "--"}));
  EXPECT_EQ(Good({"run", "--env", "A=1", "--", "grep", "--"}).operands(), (std::vector<std::string>{"grep", "--"}));
  EXPECT_EQ(Good({"show", "a", "--"}).operands(), std::vector<std::string>{"a"});
}

TEST(Parser, KnowsHowOthersSpellIt) {
  for (const std::string word : {"-i", "-it", "--interactive"}) {
    EXPECT_EQ(Bad({"run", word, "--", "sh"}).message, "unknown option '" + word + "'");
    EXPECT_EQ(Bad({"run", word, "--", "sh"}).hint, "its input is the caller's by itself; -t gives it a terminal");
  }
  EXPECT_EQ(Bad({"run", "-ti", "--", "sh"}).hint, "its input is the caller's by itself; -t gives it a terminal");
  EXPECT_EQ(Bad({"run", "-w", "/", "--", "sh"}).hint, "did you mean '--workdir'?");
  const std::string volume = "-v says more; a volume is given by --volume ";
  EXPECT_EQ(Bad({"run", "-v", "/d:/mnt", "--", "ls"}).hint, volume + "/d:/mnt");
  EXPECT_EQ(Bad({"run", "-v", "./d:/mnt:ro", "ls"}).hint, volume + "./d:/mnt:ro");
  EXPECT_EQ(Bad({"create", "d:/mnt", "--", "ls"}).hint, volume + "d:/mnt");
  EXPECT_EQ(Good({"run", "-v", "--", "ls", "a:/b"}).operands(), (std::vector<std::string>{"ls", "a:/b"}));
  EXPECT_EQ(Good({"exec", "a", "--", "-v", "a:/b"}).operands().size(), 3u);
}

TEST(Arguments, AVariableWithoutAValueHasOurs) {
  ::setenv("GIVEN_HERE", "a=b", 1);
  ::unsetenv("GIVEN_NOWHERE");
  const auto a =
      Good({"run", "-e", "GIVEN_HERE", "-e", "GIVEN_NOWHERE", "-e", "A=1", "-e", "B=", "-e", "a b", "--", "ls"});
  EXPECT_EQ(GivenVariables(a), (std::vector<std::string>{"GIVEN_HERE=a=b", "A=1", "B=", "a b"}));
}

TEST(Definitions, AreSound) {
  std::set<std::string_view> names;
  for (const Command& command : Commands()) {
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " is there twice";
    EXPECT_FALSE(command.summary.empty()) << command.name;
    std::set<std::string> words;
    const auto check = [&](const Option& option) {
      EXPECT_TRUE(words.insert(std::string(option.name)).second) << command.name << " --" << option.name;
      const bool fresh = option.letter == 0 || words.insert(std::string(1, option.letter)).second;
      EXPECT_TRUE(fresh) << option.name;
      EXPECT_EQ(option.type == ValueType::kNone, option.value.empty()) << option.name;
      EXPECT_FALSE(option.summary.empty()) << option.name;
    };
    for (const Option* option : command.options) check(*option);
    for (const Option* option : CommonOptions()) check(*option);
  }
}

TEST(Parser, ADigestIsTakenAsAPlanPrintsIt) {
  for (const char* text : {"0123456789ab", "SHA256:0123456789AB", "sha256:0123456789ab…"}) {
    EXPECT_EQ(ParseDigestPrefix(text), "0123456789ab") << text;
  }
}

}  // namespace
}  // namespace nucleus::cli
