// From files to one document: names, includes, several files, directories, defaults, containers.
#include "spec/assemble.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;

constexpr const char* kAgent = "[defaults]\nservice_mode='agent'\ncommand=['x']\n";

Loaded LoadAll(const Files& files, std::vector<std::string> paths) {
  return Load(paths, files.outside());
}

TEST(Name, IsTheFilesWhereNoneIsWritten) {
  Files files;
  files.files["/w/my-shop.toml"] = kAgent;
  EXPECT_EQ(LoadAll(files, {"my-shop.toml"}).topology->name, "my-shop");
  files.files["/w/My Shop.toml"] = kAgent;
  EXPECT_EQ(Files::Lines(LoadAll(files, {"My Shop.toml"})),
            "My Shop.toml:1:1: name is missing: write name = \"…\" at the top, in lower case\n");
  files.files["-"] = kAgent;
  EXPECT_EQ(Files::Lines(LoadAll(files, {"-"})),
            "-:1:1: name is missing: write name = \"…\" at the top, in lower case\n");
}

TEST(Name, IsCheckedWhereItIsWritten) {
  EXPECT_EQ(Files().Problems("\nname = 7\n"), "shop.toml:2:8: name: expected a string, found an integer\n");
  EXPECT_NE(Files().Problems("name = 'A/b'\n").find("shop.toml:1:8: name: 'A/b': not a name"), std::string::npos);
  EXPECT_NE(Files().Problems("name = ''\n").find("shop.toml:1:8: name: '': not a name"), std::string::npos);
}

TEST(Container, IsATopologyWithOneService) {
  const auto loaded = Files().Load("[container]\nname='app'\nservice_mode='agent'\ncommand=['x']\npids=5\n");
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(loaded.topology->name, "app");
  EXPECT_TRUE(loaded.topology->single_container);
  EXPECT_EQ(loaded.topology->services.at("app").pids, 5U);
}

struct Case {
  const char* text;
  const char* problem;
};
class Containers : public ::testing::TestWithParam<Case> {};
TEST_P(Containers, AreNotAmbiguous) {
  EXPECT_NE(Files().Problems(GetParam().text).find(GetParam().problem), std::string::npos)
      << Files().Problems(GetParam().text);
}
INSTANTIATE_TEST_SUITE_P(
    Assemble, Containers,
    ::testing::Values(
        Case{"name='a'\n[container]\n[services.b]\n",
             "shop.toml:2:2: container: a file has either [container] or [services.*]"},
        Case{"name='a'\ncontainer=1\n", "shop.toml:2:11: container: expected a table [container], found an integer"},
        Case{"name='a'\n[container]\nname='b'\n", "shop.toml:3:6: name: 'b': the topology is called 'a'"},
        Case{"[container]\nname=1\n", "shop.toml:2:6: name: expected a name, found an integer"},
        Case{"name='a'\n[services.web]\nname='b'\n", "shop.toml:3:6: name: 'b': the service is called 'web'"},
        Case{"[container]\nmemroy=1\n", "shop.toml:2:1: unknown key 'memroy'"}));

// ---- include ----

TEST(Include, WhatIsIncludedLiesBelow) {
  Files files;
  files.files["/w/base.toml"] =
      "[defaults]\nservice_mode='agent'\ncommand=['base']\n[services.a]\nmemory='1G'\npids=7\nenvironment={A='base',B='"
      "base'}\n"
      "networks=['n','m']\n[networks.n]\n[networks.m]\nmtu=1400\n";
  const auto loaded = files.Load(
      "name='s'\ninclude=['base.toml']\n[services.a]\nmemory='2G'\nenvironment={A='own'}\nnetworks=['n']\n[networks.m]"
      "\n");
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  const auto& a = loaded.topology->services.at("a");
  EXPECT_EQ(a.memory, Bytes{2} << 30);
  EXPECT_EQ(a.pids, 7U);
  EXPECT_EQ(a.command, std::vector<std::string>{"base"});
  EXPECT_EQ(a.environment, (std::map<std::string, std::string>{{"A", "own"}, {"B", "base"}}));
  EXPECT_EQ(a.networks, std::vector<std::string>{"n"});
  EXPECT_EQ(loaded.topology->networks.at("m").mtu, 1400U);
  EXPECT_EQ(loaded.topology->files, (std::vector<std::string>{"shop.toml", "base.toml"}));
  EXPECT_EQ(a.places.at("pids").file, 1U);
  EXPECT_EQ(a.places.at("pids").line, 6U);
}

TEST(Include, OfSeveralTheLaterLiesAboveAndPathsAreRelativeToTheirFile) {
  Files files;
  files.files["/w/sub/one.toml"] = "include='two.toml'\n[services.a]\npids=1\n";
  files.files["/w/sub/two.toml"] =
      "[services.a]\npids=2\ncpu_weight=2\nrootfs='root'\nservice_mode='agent'\ncommand=['x']\n";
  files.files["/w/sub/root/x"] = "";
  files.files["/w/three.toml"] = "[services.a]\ncpu_weight=3\n";
  const auto loaded = files.Load("name='s'\ninclude=['sub/one.toml','three.toml']\n");
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  const auto& a = loaded.topology->services.at("a");
  EXPECT_EQ(a.pids, 1U);
  EXPECT_EQ(a.cpu_weight, 3U);
  EXPECT_EQ(a.rootfs, "/w/sub/root");
}

TEST(Include, ProblemsNameTheFileTheyAreIn) {
  Files files;
  files.files["/w/sub/one.toml"] = "[services.a]\n memroy=1\n";
  EXPECT_NE(files.Problems("name='s'\ninclude=['sub/one.toml']\n").find("sub/one.toml:2:2: unknown key 'memroy'"),
            std::string::npos);
  files.files["/w/sub/one.toml"] = "[services.a\n";
  EXPECT_NE(files.Problems("name='s'\ninclude=['sub/one.toml']\n[services.b]\nfoo=1\n").find("sub/one.toml:1:"),
            std::string::npos);
  EXPECT_NE(files.Problems("name='s'\ninclude=['sub/one.toml']\n[services.b]\nfoo=1\n")
                .find("shop.toml:4:1: unknown key 'foo'"),
            std::string::npos);
}

TEST(Include, WrongOnesAreToldOfWhereTheyAreWritten) {
  Files files;
  files.files["/w/a.toml"] = "include=['b.toml']\n";
  files.files["/w/b.toml"] = "\ninclude=['./a.toml']\n";
  EXPECT_EQ(files.Problems("name='s'\ninclude=['a.toml']\n").substr(0, 91),
            "b.toml:2:10: include: './a.toml': files include each other: /w/a.toml -> /w/b.toml -> /w/a.");
  EXPECT_NE(files.Problems("name='s'\ninclude=['shop.toml']\n")
                .find("shop.toml:2:10: include: 'shop.toml': files include each other"),
            std::string::npos);
  EXPECT_NE(files.Problems("name='s'\ninclude=['none.toml']\n")
                .find("shop.toml:2:10: include: 'none.toml': read /w/none.toml: No such file"),
            std::string::npos);
  EXPECT_EQ(files.Problems("name='s'\ninclude=[1]\n").substr(0, 60),
            "shop.toml:2:10: include: expected a path, found an integer\n");
  EXPECT_NE(files.Problems("name='s'\ninclude=1\n").find("shop.toml:2:9: include: expected a list of paths"),
            std::string::npos);
}

TEST(Include, FilesThatIncludeMoreAndMoreComeToAnEnd) {
  Files files;
  std::string list = "include=[";
  for (int i = 0; i < 300; ++i) {
    files.files["/w/f" + std::to_string(i) + ".toml"] = "";
    list += "'f" + std::to_string(i) + ".toml',";
  }
  EXPECT_NE(files.Problems("name='s'\n" + list + "]\n").find("more than 256 files"), std::string::npos);
}

// ---- several files ----

TEST(SeveralFiles, AreMergedByAddress) {
  Files files;
  files.files["/w/d/10-base.toml"] = std::string("name='s'\n") + kAgent + "[networks.n]\n[services.a]\n";
  files.files["/w/d/20-more.toml"] = "name='s'\n[services.b]\nnetworks=['n']\n";
  files.files["/w/d/.hidden.toml"] = "broken";
  files.files["/w/d/readme.md"] = "# text";
  const auto loaded = LoadAll(files, {"d"});
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(loaded.topology->services.size(), 2U);
  EXPECT_EQ(loaded.topology->files, (std::vector<std::string>{"d/10-base.toml", "d/20-more.toml"}));
}

TEST(SeveralFiles, EveryClashIsToldOfWithBothPlaces) {
  Files files;
  files.files["/w/a.toml"] = std::string("name='s'\n") + kAgent + "[services.x]\n[networks.n]\n";
  files.files["/w/b.toml"] =
      "name='t'\n[defaults]\ncommand=['y']\n[services.x]\n[networks.n]\n[volumes.v]\npath='/srv/v'\n";
  EXPECT_EQ(Files::Lines(LoadAll(files, {"a.toml", "b.toml"})),
            "b.toml:1:1: 'name' is given here and at a.toml:1:1\n"
            "b.toml:3:1: defaults.command is given here and at a.toml:4:1\n"
            "b.toml:4:11: services.x is given here and at a.toml:5:11\n"
            "b.toml:5:11: networks.n is given here and at a.toml:6:11\n");
}

TEST(SeveralFiles, OneThatIsNotThereDoesNotHideTheProblemsOfOthers) {
  Files files;
  files.files["/w/a.toml"] = "name='s'\nfoo=1\n";
  const auto problems = Files::Lines(LoadAll(files, {"none.toml", "a.toml"}));
  EXPECT_NE(problems.find("/w/none.toml: No such file"), std::string::npos) << problems;
  EXPECT_NE(problems.find("a.toml:2:1: unknown key 'foo'"), std::string::npos) << problems;
}

TEST(SeveralFiles, ADirectoryWithoutFilesIsAProblem) {
  Files files;
  files.files["/w/d/readme.md"] = "";
  EXPECT_EQ(Files::Lines(LoadAll(files, {"d"})), "d: no *.toml in this directory\n");
}

// ---- defaults and other names of keys ----

TEST(Defaults, AreForServicesThatDoNotSayOtherwise) {
  const auto loaded = Files().Load(
      "name='s'\n[defaults]\nservice_mode='agent'\ncommand=['d']\nrestart='always'\nhealth_interval='5s'\nenvironment={"
      "A='d',B='d'}\n"
      "[services.a]\ncommand=['a']\nenv={A='a'}\nhealth_check='true'\n[services.b]\n[services.j]\ntype='job'\n");
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  const auto& services = loaded.topology->services;
  EXPECT_EQ(services.at("a").command, std::vector<std::string>{"a"});
  EXPECT_EQ(services.at("a").environment, (std::map<std::string, std::string>{{"A", "a"}, {"B", "d"}}));
  EXPECT_EQ(services.at("a").health->interval, Duration{5000});
  EXPECT_EQ(services.at("b").command, std::vector<std::string>{"d"});
  EXPECT_EQ(services.at("b").restart, RestartPolicy::kAlways);
  EXPECT_EQ(services.at("j").restart, RestartPolicy::kNo);
}

TEST(Defaults, AGroupIsTheServicesOwnHoweverItIsWritten) {
  const auto owner = [](const std::string& defaults, const std::string& own) {
    const auto loaded = Files().Load("name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\n" + defaults +
                                     "\n[services.a]\n" + own + "\n");
    if (!loaded.ok()) return Files::Lines(loaded);
    const auto& user = loaded.topology->services.at("a").user;
    return user.user + " " + user.group;
  };
  EXPECT_EQ(owner("group='7'", "user='1:2'"), "1 2");
  EXPECT_EQ(owner("user='1:2'", "group='7'"), "1 7");
  EXPECT_EQ(owner("user='1:2'", "user='3'\ngroup='7'"), "3 7");
  EXPECT_EQ(owner("user='1'\ngroup='7'", "user='3:4'"), "3 4");
  EXPECT_EQ(owner("user='1:2'", ""), "1 2");
  EXPECT_EQ(owner("group='7'", "user='3'"), "3 7");
  EXPECT_NE(owner("", "user='1:2'\ngroup='7'").find("has group '2' with it already"), std::string::npos);
  EXPECT_NE(owner("user='1:2'\ngroup='7'", "").find("has group '2' with it already"), std::string::npos);
}

TEST(Include, AGroupAboveIsTheOnlyOne) {
  Files files;
  files.files["/w/base.toml"] = "[services.a]\nservice_mode='agent'\ncommand=['x']\ngroup='7'\n";
  const auto loaded = files.Load("name='s'\ninclude=['base.toml']\n[services.a]\nuser='1:2'\n");
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(loaded.topology->services.at("a").user.group, "2");
}

TEST(Defaults, AreCheckedEvenWhereNobodyTakesThem) {
  EXPECT_EQ(Files().Problems("name='s'\n[networks.n]\n[defaults]\nmemroy='1G'\npids='many'\n"),
            "shop.toml:4:1: unknown key 'memroy', did you mean 'memory'?\n"
            "shop.toml:5:6: pids: 'many': not a whole number from 1 to 4194304\n");
  EXPECT_EQ(Files().Problems("name='s'\ndefaults=1\n[networks.n]\n"),
            "shop.toml:2:10: defaults: expected a table [defaults], found an integer\n");
}

TEST(Aliases, AreTheKeyItselfAndNotBesideIt) {
  EXPECT_EQ(testing::FieldOf(Files(), "swap = '1G'", "memory_swap"), R"("1G")");
  EXPECT_EQ(Files().Problems(testing::Service("memory_swap = 0\nswap = 0")).substr(0, 91),
            "shop.toml:7:1: 'swap' is another name of 'memory_swap', which is given at shop.toml:6:15\n");
}

}  // namespace
}  // namespace nucleus::spec
