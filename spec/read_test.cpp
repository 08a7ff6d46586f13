// Keys as such: unknown ones, wrong tables, those whose effect comes later, and where everything was written.
#include "spec/read.hpp"

#include <gtest/gtest.h>

#include "spec/table.hpp"
#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;

struct Case {
  const char* text;
  const char* problem;
};
class WrongTables : public ::testing::TestWithParam<Case> {};
TEST_P(WrongTables, AreTheOnlyProblem) {
  EXPECT_EQ(Files().Problems(std::string("name = 's'\n") + GetParam().text),
            std::string("shop.toml:") + GetParam().problem + "\n");
}
INSTANTIATE_TEST_SUITE_P(
    Read, WrongTables,
    ::testing::Values(
        Case{"[networks.n]\nsubent = '10.0.0.0/24'\n", "3:1: unknown key 'subent', did you mean 'subnet'?"},
        Case{"[volumes.v]\npath='/srv/v'\nsize_limit=1\n", "4:1: unknown key 'size_limit'"},
        Case{"[networks.n]\n[service.a]\n", "3:2: unknown key 'service', did you mean 'services'?"},
        Case{"services = 1\n", "2:12: services: expected tables such as [services.NAME], found an integer"},
        Case{"[[services]]\n", "2:1: services: expected tables such as [services.NAME], found a list"},
        Case{"[services]\na = 1\n", "3:5: services.a: expected a table of keys, found an integer"},
        Case{"[networks]\nn = []\n", "3:5: networks.n: expected a table of keys, found a list"},
        Case{"[volumes.'a b']\n",
             "2:10: volumes: 'a b' is not a name: letters, digits, '_', '.' and '-', a letter or digit first, at most "
             "63 characters"},
        Case{"[volumes.'']\n",
             "2:10: volumes: '' is not a name: letters, digits, '_', '.' and '-', a letter or digit first, at most 63 "
             "characters"}));

TEST(Names, PathsAndDotsAreNone) {
  for (const auto* name : {"..", ".", "-a", "../x", "a/b", "ä", "a\\u001b",
                           "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg"}) {
    EXPECT_NE(Files().Problems("name='s'\n[networks.\"" + std::string(name) + "\"]\n").find("is not a name"),
              std::string::npos)
        << name;
  }
}

// A value for each type of key that its codec takes.
std::string Sample(const KeyInfo& key) {
  static const std::map<std::string_view, std::string> kSamples{
      {"string", "'x'"},
      {"boolean", "true"},
      {"host path", "'/w/file'"},
      {"list of strings", "['x']"},
      {"list of strings or tables", "['x']"},
      {"integer", "5"},
      {"address", "'10.0.0.1'"},
      {"list of port numbers", "[80]"},
      {"SHA-256 digest", "'" + std::string(64, 'a') + "'"},
      {"list of networks; an empty text stands for none", "['10.0.0.0/8', '']"}};
  if (key.type != "word") return kSamples.at(key.type);
  // {"enum":["a","b"]}: the first word that does not work yet.
  const KeySpec& spec = *FindKeySpec(key.scope, key.name);
  const std::string schema = spec.schema();
  for (std::string_view rest = std::string_view(schema).substr(9); !rest.empty();) {
    const auto end = rest.find_first_of(",]");
    if (spec.working.find(rest.substr(0, end)) == std::string_view::npos) return std::string(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  return "";
}

TEST(Later, EveryKeyWithoutEffectIsRefusedAtItsPlaceUnlessItSaysWhatHappensAnyway) {
  Files files;
  files.files["/w/file"] = "";
  int seen = 0;
  for (const auto& spec : KeySpecs()) {
    if (spec.info.supported) continue;
    ++seen;
    std::string line = std::string(spec.info.name) + " = ";
    std::string value = Sample(spec.info);
    if (!spec.working.empty() && spec.info.type == "boolean") value = spec.working == "true" ? "false" : "true";
    const auto text = spec.info.scope == Scope::kNetwork ? "name='s'\n[networks.n]\n\n\n\n" + line + value + "\n"
                                                         : testing::Service(line + value);
    const std::string expected =
        "shop.toml:6:" + std::to_string(line.size() + 1) + ": " + std::string(spec.info.name) + ": not supported yet";
    EXPECT_NE(files.Problems(text).find(expected), std::string::npos) << expected << "\n" << files.Problems(text);
    for (std::string_view rest = spec.working; !rest.empty();) {
      const auto word = rest.substr(0, rest.find(' '));
      const auto works = testing::Service("networks = ['n']\n" + line + std::string(word));
      const bool contradicts = word == "\"none\"";  // it has a network
      EXPECT_EQ(files.Problems(works).empty(), !contradicts) << works;
      rest.remove_prefix(std::min(word.size() + 1, rest.size()));
    }
  }
  EXPECT_GT(seen, 2);
}

TEST(Later, ValuesAreCheckedForTheirTypeFirst) {
  EXPECT_EQ(Files().Problems(testing::Service("networks = ['n']\negress_allow = ['10.0.0.0/33']")),
            "shop.toml:7:17: egress_allow: '10.0.0.0/33': not a network; write an address and a prefix length, as in "
            "10.42.0.0/24\n");
  EXPECT_EQ(Files().Problems(testing::Service("runtime = 'gvisr'")),
            "shop.toml:6:11: runtime: 'gvisr': not one of native, gvisor, did you mean 'gvisor'?\n");
  for (const auto* name : {"a..b", "-a.example", "a b", "10.0.0.1", ".", ""}) {
    EXPECT_EQ(
        Files().Problems(testing::Service("networks = ['n']\negress_domain = ['" + std::string(name) + "']")),
        "shop.toml:7:18: egress_domains: '" + std::string(name) + "': not a domain name, as in registry.example.com\n");
  }
  EXPECT_EQ(Files().Problems(testing::Service("networks = ['n']\negress_domains = ['*.example.com']")),
            "shop.toml:7:19: egress_domains: '*.example.com': there are no wildcards: write each name\n");
  EXPECT_EQ(Files().Problems(testing::Service("networks = []\negress_tcp_ports = [0]")),
            "shop.toml:7:21: egress_tcp_ports: 0: not a whole number from 1 to 65535\n");
}

// Each flag of `run`, in snake case, is a key; the flags are those that the reference of the command line names.
TEST(Keys, EveryRunFlagIsOne) {
  for (const auto* key : {"memory",
                          "cpus",
                          "context",
                          "name",
                          "runtime",
                          "rootless",
                          "network",
                          "allow_host_network",
                          "nat_backend",
                          "context_mode",
                          "verify_context_integrity",
                          "seccomp_log_denied",
                          "env",
                          "secret",
                          "detach",
                          "service_mode",
                          "trust_level",
                          "pids",
                          "rootfs",
                          "verify_rootfs_attestation",
                          "require_kernel_lockdown",
                          "dns",
                          "egress_allow",
                          "egress_domain",
                          "egress_tcp_port",
                          "egress_udp_port",
                          "health_cmd",
                          "health_interval",
                          "health_retries",
                          "systemd_credential",
                          "volume",
                          "sd_notify",
                          "gvisor_platform",
                          "seccomp_profile",
                          "seccomp_profile_sha256",
                          "caps_policy",
                          "caps_policy_sha256",
                          "landlock_policy",
                          "landlock_policy_sha256",
                          "seccomp_mode",
                          "seccomp_log",
                          "allow_degraded_security",
                          "allow_chroot_fallback",
                          "user",
                          "group",
                          "additional_group",
                          "time_namespace",
                          "disable_cgroup_namespace"}) {
    const auto problems = Files().Problems("name = 's'\n[services.a]\n" + std::string(key) + " = 1979-05-27\n");
    EXPECT_EQ(problems.find("unknown key"), std::string::npos) << problems;
    EXPECT_NE(problems.find(std::string("found a date")), std::string::npos) << key << ": " << problems;
  }
}

TEST(Places, EveryKeyAndItemHasItsOwn) {
  const auto loaded =
      Files().Load(testing::Service("pids = 5\nnetworks = [\n  'n' ]\nvolumes = ['/srv/b:/b',\n 'v:/a']"));
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  const auto& places = loaded.topology->services.at("a").places;
  EXPECT_EQ(places.at("").line, 5U);
  EXPECT_EQ(places.at("pids").line, 6U);
  EXPECT_EQ(places.at("networks").line, 7U);
  EXPECT_EQ(places.at("networks:n").line, 8U);
  EXPECT_EQ(places.at("volumes:/a").line, 10U);
  EXPECT_EQ(places.at("volumes:/b").line, 9U);
}

TEST(Network, TheKindMayOnlyRepeatWhatNetworksSays) {
  EXPECT_EQ(Files().Problems(testing::Service("network = 'bridge'\nnetworks = ['n']")), "");
  EXPECT_EQ(Files().Problems(testing::Service("network = 'none'")), "");
  EXPECT_EQ(Files().Problems(testing::Service("network = 'bridge'")),
            "shop.toml:6:11: network: \"bridge\" needs networks = [\"…\"] to say which\n");
  EXPECT_EQ(Files().Problems(testing::Service("network = 'none'\nnetworks = ['n']")),
            "shop.toml:6:11: network: \"none\" contradicts networks\n");
  EXPECT_NE(Files().Problems(testing::Service("network = 'host'")).find("allow_host_network = true"),
            std::string::npos);
  EXPECT_EQ(Files().Problems(testing::Service("network = 'host'\nallow_host_network = true\nnetworks = ['n']")),
            "shop.toml:6:11: network: \"host\" contradicts networks\n");
}

}  // namespace
}  // namespace nucleus::spec
