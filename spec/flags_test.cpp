// Problems of options are told in the words of a command line.
#include "spec/flags.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

std::string Said(const std::string& file, const std::string& message) {
  Problem problem{.file = file, .line = 1, .column = 1, .message = message};
  SayAsFlags(problem);
  return problem.Text();
}

TEST(Flags, OptionsStandInThePlaceOfKeys) {
  EXPECT_EQ(FlagOf("memory_swap"), "--swap");
  EXPECT_EQ(FlagOf("port_forwards"), "--publish");
  EXPECT_EQ(FlagOf("context_mode"), "--context-mode");
  EXPECT_EQ(Said("--memory", "memory: '512Q': not a size"), "--memory: '512Q': not a size");
  EXPECT_EQ(Said("", "seccomp_mode: a trace needs a file to go to, seccomp_log"),
            "--seccomp-mode: a trace needs a file to go to, --seccomp-log");
  EXPECT_EQ(Said("--verify-context-integrity", "verify_context_integrity: give context_mode = \"copy\" or init = true"),
            "--verify-context-integrity: give --context-mode copy or --init");
  EXPECT_EQ(Said("", "the user's group is 0: set group = \"0\" if that is meant"),
            "the user's group is 0: set --group 0 if that is meant");
  EXPECT_EQ(FlagOf("command"), "COMMAND");
  EXPECT_EQ(Said("--env", "environment: LD_PRELOAD: allow_loader_variables = true permits it"),
            "--env: LD_PRELOAD: --allow-loader-variables permits it");
}

TEST(Flags, WhatSomebodyWroteStays) {
  EXPECT_EQ(Said("--volume", "volumes: there is no 'a memory_swap b' on the host's memory_swap"),
            "--volume: there is no 'a memory_swap b' on the host's --swap");
  EXPECT_EQ(Said("--rootfs", "rootfs: there is no directory /srv/memory_swap"),
            "--rootfs: there is no directory /srv/memory_swap");
  EXPECT_EQ(Said("p.toml", "context_mode: is none of its keys"), "p.toml:1:1: context_mode: is none of its keys");
}

TEST(Flags, AUserMayHaveItsGroupWithIt) {
  const testing::Files files;
  const auto said = [&](std::vector<GivenFlag> given) {
    const auto loaded = LoadFlags("p", "a", given, {"true"}, files.outside());
    return loaded.ok()
               ? loaded.topology->services.at("a").user.user + " " + loaded.topology->services.at("a").user.group
               : testing::Files::Lines(loaded);
  };
  EXPECT_EQ(said({{"user", {"1000:10"}, false}}), "1000 10");
  EXPECT_EQ(said({{"user", {"1000"}, false}, {"group", {"7"}, false}}), "1000 7");
  EXPECT_EQ(said({{"user", {"1000:10"}, false}, {"group", {"7"}, false}}),
            "--group: '7': the user has group '10' with it already\n");
  for (const std::string text : {"1000:", ":10", "1:2:3"})
    EXPECT_EQ(said({{"user", {text}, false}}), "--user: '" + text + "': neither USER nor USER:GROUP\n");
}

TEST(Flags, ProblemsNameTheOption) {
  const testing::Files files;
  const std::vector<GivenFlag> given{{"swap", {"x"}, false}, {"tmpfs", {"/t:0"}, true}, {"io-limit", {"8:0"}, true}};
  std::string lines;
  for (const auto& problem : LoadFlags("p", "a", given, {"true"}, files.outside()).problems)
    lines += problem.Text() + "\n";
  EXPECT_EQ(lines,
            "--swap: 'x': not a size; write for example 512M, 1.5G or 4096\n"
            "--tmpfs: '/t:0': nothing fits into no memory\n"
            "--io-limit: limits nothing; write for example \"8:0 rbps=10M wiops=100\"\n");
}

TEST(Flags, WhatOnlyANetworkGivesNeedsOne) {
  const testing::Files files;
  const auto problems = [&files](std::vector<GivenFlag> given) {
    std::string lines;
    for (const auto& problem : LoadFlags("p", "a", given, {"true"}, files.outside()).problems)
      lines += problem.Text() + "\n";
    return lines;
  };
  EXPECT_EQ(problems({{"nat-backend", {"pasta"}, false}, {"dns", {"1.1.1.1"}, true}}),
            "--nat-backend: needs --network bridge\n--dns: needs --network bridge\n");
  EXPECT_EQ(problems({{"dns", {"1.1.1.1"}, true}, {"network", {"host"}, false}, {"allow-host-network", {}, false}}),
            "");
}

}  // namespace
}  // namespace nucleus::spec
