// Keys whose value is one thing or a plain list: what they read, what it means, what they refuse and where.
#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::FieldOf;
using testing::Files;

struct Reads {
  const char* line;
  const char* field;
  const char* canonical;  // "": the default
};

class Codecs : public ::testing::TestWithParam<Reads> {};

TEST_P(Codecs, ReadToTheirCanonicalForm) {
  Files files;
  files.variables = {{"N", "64"}, {"YES", "true"}};
  EXPECT_EQ(FieldOf(files, GetParam().line, GetParam().field), GetParam().canonical) << GetParam().line;
}

INSTANTIATE_TEST_SUITE_P(Sizes, Codecs,
                         ::testing::Values(Reads{"memory = '512M'", "memory", R"("512M")"},
                                           Reads{"memory = '0.5G'", "memory", R"("512M")"},
                                           Reads{"memory = '512mib'", "memory", R"("512M")"},
                                           Reads{"memory = 536870912", "memory", R"("512M")"},
                                           Reads{"memory = '1000'", "memory", R"("1000")"},
                                           Reads{"memory_swap = 0", "memory_swap", R"("0")"},
                                           Reads{"memory = 9223372036854775807", "memory", R"("9223372036854775807")"},
                                           Reads{"memlock = '64K'", "memlock", R"("64K")"}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, Codecs,
    ::testing::Values(Reads{"cpus = 2", "cpus", R"("2")"}, Reads{"cpus = 0.25", "cpus", R"("0.25")"},
                      Reads{"cpus = '1.5'", "cpus", R"("1.5")"}, Reads{"pids = 64", "pids", "64"},
                      Reads{"pids = '${N}'", "pids", "64"}, Reads{"cpu_weight = 10000", "cpu_weight", "10000"},
                      Reads{"init = '${YES}'", "init", "true"}, Reads{"protect = true", "protect", "true"}));

INSTANTIATE_TEST_SUITE_P(Times, Codecs,
                         ::testing::Values(Reads{"stop_timeout = 90", "stop_timeout", R"("1m30s")"},
                                           Reads{"stop_timeout = '1m30s'", "stop_timeout", R"("1m30s")"},
                                           Reads{"stop_timeout = 0.25", "stop_timeout", R"("250ms")"},
                                           Reads{"stop_timeout = '10s'", "stop_timeout", ""},
                                           Reads{"stop_timeout = '365d'", "stop_timeout", R"("365d")"}));

INSTANTIATE_TEST_SUITE_P(Words, Codecs,
                         ::testing::Values(Reads{"restart = 'always'", "restart", R"("always")"},
                                           Reads{"restart = 'on-failure'", "restart", ""},
                                           Reads{"type = 'job'", "type", R"("job")"},
                                           Reads{"stop_signal = 'int'", "stop_signal", R"("SIGINT")"},
                                           Reads{"stop_signal = 2", "stop_signal", R"("SIGINT")"},
                                           Reads{"stop_signal = 'TERM'", "stop_signal", ""},
                                           Reads{"stop_signal = 'RTMIN+3'", "stop_signal", R"("SIGRTMIN+3")"}));

INSTANTIATE_TEST_SUITE_P(
    Names, Codecs,
    ::testing::Values(Reads{"user = 70", "user", R"("70")"}, Reads{"user = '0070'", "user", R"("70")"},
                      Reads{"user = 'postgres'", "user", R"("postgres")"},
                      Reads{"user = '0070:post'", "user", R"("70")"}, Reads{"user = '70:0071'", "group", R"("71")"},
                      Reads{"additional_groups = [5, 'audio', '5']", "additional_groups", R"(["5","audio"])"},
                      Reads{"hostname = 'db.local'", "hostname", R"("db.local")"},
                      Reads{"workdir = '//srv/./x/'", "workdir", R"("/srv/x")"},
                      Reads{"rootfs = '/srv/../srv//root/'", "rootfs", R"("/srv/root")"},
                      Reads{"rootfs = '../srv/root'", "rootfs", R"("/srv/root")"},
                      Reads{"dns = ['10.0.0.1', '1.1.1.1']", "dns", R"(["10.0.0.1","1.1.1.1"])"},
                      Reads{"command = ['a', '', 'b c']", "command", R"(["a","","b c"])"}));

struct Refuses {
  const char* line;
  const char* problem;  // the whole message
};

class CodecProblems : public ::testing::TestWithParam<Refuses> {};

TEST_P(CodecProblems, AreTheOnlyOnesAndHaveTheirPlace) {
  EXPECT_EQ(Files().Problems(testing::Service(GetParam().line)),
            std::string("shop.toml:6:") + GetParam().problem + "\n")
      << GetParam().line;
}

INSTANTIATE_TEST_SUITE_P(
    Sizes, CodecProblems,
    ::testing::Values(
        Refuses{"memory = '1Q'", "10: memory: '1Q': not a size; write for example 512M, 1.5G or 4096"},
        Refuses{"memory = ''", "10: memory: '': not a size; write for example 512M, 1.5G or 4096"},
        Refuses{"memory = -1", "10: memory: -1: a size cannot be negative"},
        Refuses{"memory = 0", "1: memory: nothing runs in no memory"},
        Refuses{"memory = 1.5", "10: memory: expected a size such as \"512M\", or an integer of bytes, found a number"},
        Refuses{"memory = '1.5'", "10: memory: '1.5': a fraction of a byte; add a unit, as in 1.5G"},
        Refuses{"memory = '99999999999T'", "10: memory: '99999999999T': the size is too large"},
        Refuses{"memory = '8388608T'", "10: memory: '8388608T': the size is too large"},
        Refuses{"memory = 1979-05-27",
                "10: memory: expected a size such as \"512M\", or an integer of bytes, found a date or time"}));

INSTANTIATE_TEST_SUITE_P(
    Numbers, CodecProblems,
    ::testing::Values(
        Refuses{"pids = 0", "8: pids: 0: not a whole number from 1 to 4194304"},
        Refuses{"pids = 1e3", "8: pids: expected a whole number from 1 to 4194304, found a number"},
        Refuses{"cpus = 0", "8: cpus: '0': the number of CPUs must be greater than 0"},
        Refuses{"cpus = nan", "8: cpus: CPUs are greater than 0, at most 8192, with at most three decimals"},
        Refuses{"cpus = inf", "8: cpus: CPUs are greater than 0, at most 8192, with at most three decimals"},
        Refuses{"cpus = 0.0001", "8: cpus: CPUs are greater than 0, at most 8192, with at most three decimals"},
        Refuses{"protect = 'yes'", "11: protect: expected true or false, found a string"}));

INSTANTIATE_TEST_SUITE_P(
    Times, CodecProblems,
    ::testing::Values(
        Refuses{"stop_timeout = '5 s'",
                "16: stop_timeout: '5 s': not a duration; write for example 30s, 5m, 1h30m or 250ms"},
        Refuses{"stop_timeout = -1", "16: stop_timeout: -1: not a number of seconds between 0 and a year"},
        Refuses{"stop_timeout = '366d'", "16: stop_timeout: '366d': longer than a year"},
        Refuses{
            "stop_timeout = '99999999999999999999d'",
            "16: stop_timeout: '99999999999999999999d': not a duration; write for example 30s, 5m, 1h30m or 250ms"}));

INSTANTIATE_TEST_SUITE_P(
    Words, CodecProblems,
    ::testing::Values(Refuses{"restart = 'allways'",
                              "11: restart: 'allways': not one of no, on-failure, always, did you mean 'always'?"},
                      Refuses{"type = 1", "8: type: expected one of service, job, found an integer"},
                      Refuses{"stop_signal = 'SIGFOO'",
                              "15: stop_signal: 'SIGFOO': not a signal; write for example SIGTERM, HUP or 15"},
                      Refuses{"stop_signal = 32",
                              "15: stop_signal: 32: not a signal; write for example SIGTERM, HUP or 15"}));

INSTANTIATE_TEST_SUITE_P(
    Names, CodecProblems,
    ::testing::Values(
        Refuses{"user = ''", "8: user: '': an empty user or group"},
        Refuses{"user = 4294967295", "8: user: 4294967295: not an id from 0 to 2147483647"},
        Refuses{"user = 'a:'", "8: user: 'a:': neither USER nor USER:GROUP"},
        Refuses{"user = '1:4294967295'", "8: user: '1:4294967295': not an id from 0 to 2147483647"},
        Refuses{"hostname = '-a'",
                "12: hostname: '-a': not a host name: letters, digits, '-', '_' and '.', neither '-' nor '.' first, at "
                "most 63"},
        Refuses{"workdir = 'x'", "11: workdir: 'x': must be an absolute path inside the container"},
        Refuses{"workdir = '/a/../b'", "11: workdir: '/a/../b': must not have '..' in it"},
        Refuses{"rootfs = '/nowhere'", "1: rootfs: there is no directory /nowhere"},
        Refuses{"rootfs = ''", "10: rootfs: '': must not be empty"},
        Refuses{"dns = ['10.0.0.256']",
                "8: dns: '10.0.0.256': not an address; write for example 10.42.0.1 or fd00:42::1"},
        Refuses{"dns = ['10.0.0.010']",
                "8: dns: '10.0.0.010': not an address; write for example 10.42.0.1 or fd00:42::1"},
        Refuses{"dns = ['fd00::1::2']", "8: dns: 'fd00::1::2': not an IPv6 address; write for example fd00:42::1"},
        Refuses{"dns = ['::ffff:10.0.0.1']",
                "8: dns: '::ffff:10.0.0.1': an IPv4 address mapped into IPv6; write it as IPv4"},
        Refuses{"command = []", "11: command: the program is missing: its path must be the first item"},
        Refuses{"command = 'x'",
                "11: command: expected a list such as [\"/bin/server\", \"--port\", \"80\"] (for a shell: "
                "[\"/bin/sh\", \"-c\", \"…\"]), found a string"},
        Refuses{"command = ['x', 1]", "17: command: expected a string, found an integer"}));

TEST(CodecProblem, NamesWhereTheTextCameFrom) {
  Files files;
  files.variables["SIZE"] = "much";
  EXPECT_EQ(
      files.Problems(testing::Service("memory = '${SIZE}'")),
      "shop.toml:6:10: memory: 'much': not a size; write for example 512M, 1.5G or 4096 (written as '${SIZE}')\n");
  EXPECT_EQ(files.Problems(testing::Service("protect = '${SIZE}'")),
            "shop.toml:6:11: protect: expected true or false, found a string (written as '${SIZE}')\n");
}

TEST(CodecProblem, EveryItemOfAListIsToldOf) {
  EXPECT_EQ(Files().Problems(testing::Service("dns = ['a',\n '1.1.1.1', 'b']")),
            "shop.toml:6:8: dns: 'a': not an address; write for example 10.42.0.1 or fd00:42::1\n"
            "shop.toml:7:13: dns: 'b': not an address; write for example 10.42.0.1 or fd00:42::1\n");
}

}  // namespace
}  // namespace nucleus::spec
