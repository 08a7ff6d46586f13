// What no key can tell by itself: services, networks, volumes and ports among each other and on this machine.
#include "spec/validate.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;

// All cases: agent mode and a command for every service; the case begins in line 3.
struct ProblemCase {
  const char* text;
  const char* problems;  // all of them, without the file's name
};
class Validation : public ::testing::TestWithParam<ProblemCase> {};

TEST_P(Validation, FindsExactlyThese) {
  Files files;
  files.routes = {{Ipv4{0xc0a80000}, 16}};
  std::string expected;
  for (std::string_view rest = GetParam().problems; !rest.empty();) {
    const auto line = rest.substr(0, rest.find('\n'));
    expected += "shop.toml:" + std::string(line) + "\n";
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  EXPECT_EQ(files.Problems(std::string("name = 's'\ndefaults = { service_mode = 'agent', command = ['x'] }\n") +
                           GetParam().text),
            expected);
}

INSTANTIATE_TEST_SUITE_P(
    Dependencies, Validation,
    ::testing::Values(
        ProblemCase{"[services.web]\ndepends_on = ['db',\n 'dbb']\n[services.db]\n",
                    "5:2: depends_on: there is no service 'dbb', did you mean 'db'?"},
        ProblemCase{"[services.a]\ndepends_on = ['a']\n", "4:15: depends_on: 'a' depends on itself"},
        ProblemCase{"[services.a]\ndepends_on = ['b', 'b']\n[services.b]\n", "4:20: depends_on: 'b' is given twice"},
        ProblemCase{
            "[services.a]\ndepends_on = ['b']\n[services.b]\ndepends_on = ['c']\n[services.c]\ndepends_on = ['a']\n",
            "4:15: depends_on: services wait for each other: a -> b -> c -> a"},
        ProblemCase{
            "[services.a]\ndepends_on = ['b']\n[services.b]\ndepends_on = ['a']\n[services.c]\ndepends_on = "
            "['d']\n[services.d]\ndepends_on = ['c']\n",
            "4:15: depends_on: services wait for each other: a -> b -> a\n8:15: depends_on: services wait for each "
            "other: c -> d -> c"},
        ProblemCase{"[[services.a.depends_on]]\nservice = 'b'\n[[services.a.depends_on]]\nservice = 'c'\ncondition = "
                    "'healthy'\n[services.b]\n[services.c]\n",
                    "5:1: depends_on: 'c' is waited for to be healthy, but has no health_check"},
        ProblemCase{"[services.a]\ndepends_on = [{ service = 'b', condition = 'completed' }]\n[services.b]\n",
                    "4:15: depends_on: 'b' is waited for to complete, but is no job: give it type = \"job\""},
        ProblemCase{
            "[services.a]\ndepends_on = [{ service = 'b', condition = 'healthy' }]\n[services.b]\ntype = "
            "'job'\nhealth_check = 'x'\n",
            "4:15: depends_on: 'b' is a job; wait for it to be completed\n7:1: health_check: a job has no health"}));

INSTANTIATE_TEST_SUITE_P(
    Networks, Validation,
    ::testing::Values(
        ProblemCase{
            "[networks.a]\nsubnet = '10.0.0.0/16'\n[networks.b]\nsubnet = '10.0.1.0/24'\n[networks.c]\nsubnet = "
            "'10.1.0.0/24'\n",
            "6:1: subnet: 10.0.1.0/24 overlaps that of 'a' at shop.toml:4:1"},
        ProblemCase{
            "[networks.a]\nsubnet = '10.0.1.0/24'\n[networks.b]\nsubnet = '10.0.0.0/16'\n[networks.c]\nsubnet = "
            "'10.0.255.0/24'\n",
            "6:1: subnet: 10.0.0.0/16 overlaps that of 'a' at shop.toml:4:1\n8:1: subnet: 10.0.255.0/24 overlaps that "
            "of 'b' at shop.toml:6:1"},
        ProblemCase{"[networks.a]\nsubnet = '192.168.3.0/24'\n",
                    "4:1: subnet: 192.168.3.0/24 overlaps 192.168.0.0/16, which this machine reaches already"},
        ProblemCase{
            "[networks.a]\nsubnet = '10.0.0.1/24'\n",
            "4:10: subnet: '10.0.0.1/24': the address has bits set beyond the prefix; did you mean 10.0.0.0/24?"},
        ProblemCase{
            "[networks.a]\nsubnet = '10.0.0.0/31'\n[networks.b]\nsubnet = '0.0.0.0/0'\n",
            "4:1: subnet: 10.0.0.0/31 is not between /8 and /30\n6:1: subnet: 0.0.0.0/0 is not between /8 and /30\n"
            "6:1: subnet: 0.0.0.0/0 overlaps that of 'a' at shop.toml:4:1"},
        ProblemCase{"[networks.a]\ngateway = '10.0.0.1'\n", "4:1: gateway: needs a subnet"},
        ProblemCase{"[networks.a]\nsubnet = '10.0.0.0/24'\ngateway = '10.0.0.255'\n",
                    "5:1: gateway: 10.0.0.255 is not an address of 10.0.0.0/24"},
        ProblemCase{
            "[networks.a]\nsubnet6 = 'fd00::/120'\n[networks.b]\nsubnet = '10.0.0.0/16'\nsubnet6 = 'fd01::/120'\n",
            "7:1: subnet6: fd01::/120 has no room for the counterparts of the IPv4 addresses; it may be a /112 at "
            "most"},
        ProblemCase{"[networks.a]\nsubnet6 = '64:ff9b::/96'\n",
                    "4:1: subnet6: 64:ff9b::/96 is none that a network can have; write for example fd00:42::/64"},
        ProblemCase{"[networks.a]\nmtu = 100\n", "4:7: mtu: 100: not a whole number from 576 to 65535"},
        ProblemCase{
            "[networks.a]\nsubnet = '10.0.0.0/30'\n[services.a]\nnetworks=['a']\n[services.b]\nnetworks=['a']\n",
            "4:1: subnet: 10.0.0.0/30 has room for 1 services, and 2 are on it"},
        ProblemCase{
            "[networks.inner]\n[services.a]\nnetworks = ['inner', 'iner', 'inner']\n",
            "5:22: networks: there is no network 'iner', did you mean 'inner'?\n5:30: networks: 'inner' is given "
            "twice"}));

INSTANTIATE_TEST_SUITE_P(
    Ports, Validation,
    ::testing::Values(
        ProblemCase{"[networks.n]\n[services.a]\nnetworks=['n']\nport_forwards=['1:1', "
                    "'80:80']\n[services.b]\nnetworks=['n']\nport_forwards=['127.0.0.1:80:81']\n",
                    "9:16: port_forwards: 127.0.0.1:80:81/tcp clashes with 80:80/tcp of 'a' at shop.toml:6:23"},
        ProblemCase{"[networks.n]\nsubnet6='fd00::/64'\n[services.a]\nnetworks=['n']\n"
                    "port_forwards=['[fd01::1]:80:80', '127.0.0.1:80:80', '[::]:81:80', '0.0.0.0:81:80']\n"
                    "[services.b]\nnetworks=['n']\nport_forwards=['[::]:80:81']\n",
                    "10:16: port_forwards: [::]:80:81/tcp clashes with [fd01::1]:80:80/tcp of 'a' at "
                    "shop.toml:7:16"},
        ProblemCase{"[networks.n]\n[services.a]\nnetworks=['n']\nport_forwards=['127.0.0.1:80:80', "
                    "'127.0.0.2:80:80', '80:80/udp']\n",
                    ""},
        ProblemCase{"[networks.n]\n[services.a]\nnetworks=['n']\nport_forwards=['127.0.0.1:80:80']\n[services.b]"
                    "\nnetworks=['n']\nport_forwards=['80:80']\n",
                    "9:16: port_forwards: 80:80/tcp clashes with 127.0.0.1:80:80/tcp of 'a' at shop.toml:6:16"},
        ProblemCase{"[networks.n]\n[services.a]\nnetworks=['n']\nport_forwards=['80:80', '80:81']\n",
                    "6:25: port_forwards: 80:81/tcp clashes with 80:80/tcp of 'a' at shop.toml:6:16"},
        ProblemCase{"[services.a]\nport_forwards=['80:80']\n", "4:1: port_forwards: the service is on no network"}));

INSTANTIATE_TEST_SUITE_P(Traces, Validation,
                         ::testing::Values(ProblemCase{
                             "[services.a]\nseccomp_mode='trace'\nseccomp_log='/t'\n"
                             "[services.b]\nseccomp_mode='trace'\nseccomp_log='/./t'\n",
                             "8:1: seccomp_log: /t is that of service 'a' at shop.toml:5:1"}));

INSTANTIATE_TEST_SUITE_P(
    Volumes, Validation,
    ::testing::Values(ProblemCase{"[volumes.v]\n", "3:10: volume 'v': a persistent volume needs a path"},
                      ProblemCase{"[volumes.v]\nvolume_type='ephemeral'\npath='/srv/x'\n",
                                  "5:1: path: an ephemeral volume is in memory and has none"},
                      ProblemCase{"[volumes.v]\npath='/srv/x'\nsize='1G'\n",
                                  "5:1: size: a persistent volume has none; limit its file system instead"},
                      ProblemCase{"[volumes.a]\npath='/srv/x'\n[volumes.b]\npath='/srv//x/'\n",
                                  "6:1: path: /srv/x is that of volume 'a' at shop.toml:4:1"},
                      ProblemCase{"[volumes.a]\npath='/'\n[volumes.b]\npath='/etc'\n[volumes.c]\npath='/proc/"
                                  "1'\n[volumes.d]\npath='/etc/app'\n",
                                  "4:1: path: / is a directory of the system; use one below it\n6:1: path: /etc is a "
                                  "directory of the system; use one below it\n"
                                  "8:1: path: /proc/1 is a directory of the system; use one below it"},
                      ProblemCase{"[volumes.a]\npath='/srv/a'\nmode='999'\nowner='1:2:3'\n",
                                  "5:6: mode: '999': not an octal mode; write for example \"0750\"\n"
                                  "6:7: owner: '1:2:3': not an id from 0 to 2147483647"}));

INSTANTIATE_TEST_SUITE_P(
    Destinations, Validation,
    ::testing::Values(
        ProblemCase{
            "[services.a]\nvolumes=['/srv/a:/proc', '/srv/a:/dev/x', '/srv/a:/sys/fs', '/srv/a:/', '/srv/a:/dev/shm', "
            "'/srv/a:/process']\n",
            "4:10: volumes: '/proc' would cover /proc, which is the kernel's\n4:26: volumes: '/dev/x' would cover "
            "/dev, which is the kernel's\n"
            "4:43: volumes: '/sys/fs' would cover /sys, which is the kernel's\n4:61: volumes: '/' is the root, which "
            "rootfs is for"},
        ProblemCase{"[services.a]\nvolumes=['/srv/a:/x', '/srv/b:/x/y', '/srv/c:/x/']\n",
                    "4:38: volumes: two mounts on '/x'"},
        ProblemCase{"[services.a]\nsystemd_credentials=['a:/run/secrets/x', 'a:/run/secrets/x']\n",
                    "4:42: systemd_credentials: two mounts on '/run/secrets/x'"},
        ProblemCase{"[services.a]\nsystemd_credentials=['a:/x', 'b:/x-y', 'c:/x/y/z']\nvolumes=['/srv/a:/x/y', "
                    "'/srv/b:/x-y/a']\n",
                    "4:40: systemd_credentials: '/x/y/z' is below '/x', which is a secret\n"
                    "5:10: volumes: '/x/y' is below '/x', which is a secret\n"
                    "5:25: volumes: '/x-y/a' is below '/x-y', which is a secret"},
        ProblemCase{"[services.a]\nvolumes=['/srv/a:/x']\ntmpfs=['/x:1M', '/sys']\n",
                    "5:8: tmpfs: two mounts on '/x'\n5:17: tmpfs: '/sys' would cover /sys, which is the kernel's"}));

INSTANTIATE_TEST_SUITE_P(
    Services, Validation,
    ::testing::Values(
        ProblemCase{"[services.a]\nservice_mode='production'\n",
                    "3:11: a: a rootfs is required in production (service_mode = \"agent\" does without)\n"
                    "3:11: a: a memory limit is required in production (service_mode = \"agent\" does without)"},
        ProblemCase{"[services.a]\nservice_mode='production'\nrootfs='/srv/r'\nmemory='1G'\ninit=false\n",
                    "7:6: init: production mode always has an init; leave the key out"},
        ProblemCase{"[services.a]\nmemory='1G'\nmemory_high='2G'\n",
                    "5:1: memory_high: is above memory, and so without effect"},
        ProblemCase{"[services.a]\nhealth_interval=3\nhealth_retries=1\n",
                    "4:1: health_interval: there is no health_check\n5:1: health_retries: there is no health_check"},
        ProblemCase{
            "[services.a]\nhealth_check='x'\nhealth_interval=0\nhealth_timeout='0s'\n",
            "5:1: health_interval: must be longer than nothing\n6:1: health_timeout: must be longer than nothing"},
        ProblemCase{"[services.a]\ntype='job'\nrestart='always'\n",
                    "5:1: restart: a job is not restarted; apply runs it again where it failed"},
        ProblemCase{"[services.a]\nio_limits=['8:0 rbps=1', '8:0 wbps=1']\n",
                    "4:26: io_limits: '8:0' is given twice"}));

// What a key could not be read for is not told of a second time as missing.
INSTANTIATE_TEST_SUITE_P(
    NoEchoes, Validation,
    ::testing::Values(
        ProblemCase{"[services.a]\nservice_mode='production'\nrootfs=1\nmemory='x'\n",
                    "5:8: rootfs: expected a string, found an integer\n6:8: memory: 'x': not a size; write for "
                    "example 512M, 1.5G or 4096"},
        ProblemCase{"[services.a]\nhealth_check=1\nhealth_interval=3\n",
                    "4:14: health_check: expected a shell command, a list of arguments, { tcp = PORT } or { "
                    "http = PORT, path = \"/\" }, found an integer"},
        ProblemCase{"[services.a]\nnetworks=1\nport_forwards=['80:80']\n",
                    "4:10: networks: expected a list of names, found an integer"},
        ProblemCase{"[volumes.v]\npath=1\n", "4:6: path: expected a string, found an integer"},
        ProblemCase{"[services.a]\ncommand='x'\n",
                    "4:9: command: expected a list such as [\"/bin/server\", \"--port\", \"80\"] (for a shell: "
                    "[\"/bin/sh\", \"-c\", \"…\"]), found a string"}));

TEST(Validation, ATopologyWithNothingInItIsOnlyWarnedOf) {
  const auto loaded = Files().Load("name='s'\n");
  EXPECT_TRUE(loaded.ok());
  EXPECT_EQ(Files::Lines(loaded), "warning: there is no service, network or volume in it\n");
}

TEST(StartOrder, WhatIsWaitedForComesFirst) {
  const auto loaded = Files().Load(
      "name='s'\ndefaults={service_mode='agent',command=['x']}\n[services.a]\ndepends_on=['z']\n[services.z]\ndepends_"
      "on=['m']\n[services.m]\n[services.b]\n");
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(StartOrder(*loaded.topology), (std::vector<std::string>{"b", "m", "z", "a"}));
}

}  // namespace
}  // namespace nucleus::spec
