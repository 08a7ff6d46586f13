// Keys whose values have parts: ports, mounts, limits, dependencies, probes, tables of strings.
#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::FieldOf;
using testing::Files;
using testing::Service;

struct StructuredReads {
  const char* lines;
  const char* field;
  const char* canonical;
};

class Structured : public ::testing::TestWithParam<StructuredReads> {};

TEST_P(Structured, ReadToTheirCanonicalForm) {
  Files files;
  files.files["/w/conf"] = "";
  EXPECT_EQ(FieldOf(files, GetParam().lines, GetParam().field), GetParam().canonical) << GetParam().lines;
}

INSTANTIATE_TEST_SUITE_P(
    Ports, Structured,
    ::testing::Values(StructuredReads{"networks = ['n']\nport_forwards = ['8080:80', '8080:80/tcp']", "port_forwards",
                                      R"(["8080:80/tcp"])"},
                      StructuredReads{"networks = ['n']\nport_forwards = ['0.0.0.0:53:53/udp']", "port_forwards",
                                      R"(["0.0.0.0:53:53/udp"])"},
                      StructuredReads{"networks = ['n']\nport_forwards = ['8080:80/udp', '8080:80']", "port_forwards",
                                      R"(["8080:80/tcp","8080:80/udp"])"},
                      StructuredReads{"networks = ['n']\npublish = ['127.0.0.1:1:65535']", "port_forwards",
                                      R"(["127.0.0.1:1:65535/tcp"])"},
                      StructuredReads{"networks = ['n']\nport_forwards = ['81-82:1-2', '80:80']", "port_forwards",
                                      R"(["80:80/tcp","81:1/tcp","82:2/tcp"])"}));

INSTANTIATE_TEST_SUITE_P(
    Mounts, Structured,
    ::testing::Values(StructuredReads{"volumes = ['v:/data:rw']", "volumes", R"(["v:/data"])"},
                      StructuredReads{"volumes = ['v:/b:ro', '/srv/x:/a']", "volumes", R"(["/srv/x:/a","v:/b:ro"])"},
                      StructuredReads{"volume = ['./conf:/etc/app//conf:ro,noexec']", "volumes",
                                      R"(["/w/conf:/etc/app/conf:ro,noexec"])"},
                      StructuredReads{"volumes = ['v:/d:noexec']", "volumes", R"(["v:/d:rw,noexec"])"},
                      StructuredReads{"tmpfs = ['/run:65536K', '/a']", "tmpfs", R"(["/a","/run:64M"])"}));

INSTANTIATE_TEST_SUITE_P(
    Limits, Structured,
    ::testing::Values(StructuredReads{"io_limits = [{ device = '8:0', read_bps = '10M', write_iops = 5 }]", "io_limits",
                                      R"([{"device":"8:0","read_bps":"10M","write_iops":5}])"},
                      StructuredReads{"io_limit = ['8:0 rbps=10M wiops=5']", "io_limits",
                                      R"([{"device":"8:0","read_bps":"10M","write_iops":5}])"}));

INSTANTIATE_TEST_SUITE_P(Texts, Structured,
                         ::testing::Values(StructuredReads{"environment = { B = 1, A = 'x', C = true }", "environment",
                                                           R"({"A":"x","B":"1","C":"true"})"},
                                           StructuredReads{"env = ['A=x=y', 'B=']", "environment",
                                                           R"({"A":"x=y","B":""})"},
                                           StructuredReads{"labels = { 'a b' = 'c' }", "labels", R"({"a b":"c"})"}));

INSTANTIATE_TEST_SUITE_P(
    Probes, Structured,
    ::testing::Values(StructuredReads{"health_check = 'true'", "health_check", R"(["/bin/sh","-c","true"])"},
                      StructuredReads{"health_cmd = ['pg_isready', '-U', 'x']", "health_check",
                                      R"(["pg_isready","-U","x"])"},
                      StructuredReads{"health_check = { tcp = 5432 }", "health_check", R"({"tcp":5432})"},
                      StructuredReads{"health_check = { http = 80, path = '/' }", "health_check", R"({"http":80})"},
                      StructuredReads{"health_check = { http = 80, path = '/h?a=b' }", "health_check",
                                      R"({"http":80,"path":"/h?a=b"})"},
                      StructuredReads{"health_check = 'x'\nhealth_interval = 30", "health_interval", ""},
                      StructuredReads{"health_check = 'x'\non_unhealthy = 'stop'", "on_unhealthy", R"("stop")"}));

INSTANTIATE_TEST_SUITE_P(
    Moments, Structured,
    ::testing::Values(StructuredReads{"hooks = { poststop = [], startContainer = [{ path = '/a//b', timeout = 30 }] }",
                                      "hooks", R"({"startContainer":[{"path":"/a/b"}]})"},
                      StructuredReads{"hooks = { startContainer = [{ path = '/a', args = ['x'], env = ['A=1'] }] }",
                                      "hooks", R"({"startContainer":[{"args":["x"],"env":["A=1"],"path":"/a"}]})"}));

struct StructuredRefuses {
  const char* lines;
  const char* problem;
};

class StructuredProblems : public ::testing::TestWithParam<StructuredRefuses> {};

TEST_P(StructuredProblems, AreTheOnlyOnesAndHaveTheirPlace) {
  EXPECT_EQ(Files().Problems(Service(std::string("networks = ['n']\n") + GetParam().lines)),
            std::string("shop.toml:7:") + GetParam().problem + "\n")
      << GetParam().lines;
}

INSTANTIATE_TEST_SUITE_P(
    Ports, StructuredProblems,
    ::testing::Values(
        StructuredRefuses{
            "port_forwards = ['80']",
            "18: port_forwards: '80': not a port forward; write [ip:]host:container[/tcp|udp], as in 8080:80"},
        StructuredRefuses{"port_forwards = ['0:80']",
                          "18: port_forwards: '0:80': port '0' is not a number from 1 to 65535"},
        StructuredRefuses{"port_forwards = ['65536:80']",
                          "18: port_forwards: '65536:80': port '65536' is not a number from 1 to 65535"},
        StructuredRefuses{"port_forwards = ['80:80/sctp']",
                          "18: port_forwards: '80:80/sctp': protocol 'sctp' is neither tcp nor udp"},
        StructuredRefuses{"port_forwards = ['1.2.3:80:80']",
                          "18: port_forwards: '1.2.3:80:80': not an IPv4 address; write for example 10.42.0.1"},
        StructuredRefuses{"port_forwards = ['[fd00::1:80:80']",
                          "18: port_forwards: '[fd00::1:80:80': not a port forward; write "
                          "[[ip]:]host:container[/tcp|udp], as in [::]:8080:80"},
        StructuredRefuses{"port_forwards = ['1-3:1-2']",
                          "18: port_forwards: '1-3:1-2': the two port ranges differ in length"},
        StructuredRefuses{"port_forwards = ['3-1:3-1']",
                          "18: port_forwards: '3-1:3-1': the port range ends before it begins"},
        StructuredRefuses{"port_forwards = '80:80'",
                          "17: port_forwards: expected a list such as [\"8080:80\"], found a string"},
        StructuredRefuses{"port_forwards = ['1-65535:1-65535', '1-65535:1-65535']",
                          "17: port_forwards: more than 65536 ports"}));

INSTANTIATE_TEST_SUITE_P(
    Mounts, StructuredProblems,
    ::testing::Values(
        StructuredRefuses{
            "volumes = ['v']",
            "12: volumes: 'v': write volume:/destination or /host/path:/destination, with :ro, :rw or ,noexec "
            "after it"},
        StructuredRefuses{"volumes = ['v:data']",
                          "12: volumes: 'v:data': the destination must be an absolute path inside the container"},
        StructuredRefuses{"volumes = ['v:/d:rx']", "12: volumes: 'v:/d:rx': option 'rx' is none of ro, rw, noexec"},
        StructuredRefuses{"volumes = ['v:/d:ro,rw']", "12: volumes: 'v:/d:ro,rw': both ro and rw"},
        StructuredRefuses{
            "volumes = ['a b:/d']",
            "12: volumes: 'a b:/d': the source is neither the name of a volume nor a path that begins with '/' or '.'"},
        StructuredRefuses{"volumes = ['vv:/d']", "12: volumes: there is no volume 'vv', did you mean 'v'?"},
        StructuredRefuses{"volumes = ['/nowhere:/d']", "12: volumes: there is no '/nowhere' on this machine"},
        StructuredRefuses{"tmpfs = ['run']", "10: tmpfs: 'run': must be an absolute path inside the container"},
        StructuredRefuses{"tmpfs = ['/run:0']", "10: tmpfs: '/run:0': nothing fits into no memory"},
        StructuredRefuses{"tmpfs = ['/run:big']",
                          "10: tmpfs: '/run:big': not a size; write for example 512M, 1.5G or 4096"}));

INSTANTIATE_TEST_SUITE_P(
    Limits, StructuredProblems,
    ::testing::Values(
        StructuredRefuses{"io_limits = [{ device = 'sda', read_bps = 1 }]",
                          "14: io_limits: the device must be MAJOR:MINOR or a path under /dev"},
        StructuredRefuses{"io_limits = ['8:0 rbps=10M rbps=1M']",
                          "14: io_limits: '8:0 rbps=10M rbps=1M': rbps= is there twice"},
        StructuredRefuses{"io_limits = [{ device = '8:0' }]",
                          "14: io_limits: limits nothing; write for example \"8:0 rbps=10M wiops=100\""},
        StructuredRefuses{"io_limits = [{ device = '8:0', read_bps = 0 }]",
                          "14: io_limits: a limit of 0 would stop the workload"},
        StructuredRefuses{"io_limits = [{ device = '8:0', reed_bps = 1 }]",
                          "32: io_limits: unknown key 'reed_bps', did you mean 'read_bps'?"},
        StructuredRefuses{
            "io_limits = ['8:0 rbps']",
            "14: io_limits: '8:0 rbps': write DEVICE, then rbps=, wbps=, riops= or wiops= with a number"}));

INSTANTIATE_TEST_SUITE_P(
    Others, StructuredProblems,
    ::testing::Values(
        StructuredRefuses{"environment = { A = 1.5 }",
                          "21: environment.A: expected a string (put the value in quotes), found a number"},
        StructuredRefuses{"environment = { '1A' = 'x' }", "24: environment: '1A' is not a name of a variable"},
        StructuredRefuses{"environment = ['A']", "16: environment: 'A': write NAME=value"},
        StructuredRefuses{"environment = ['A=1', 'A=2']", "23: environment: 'A' is given twice"},
        StructuredRefuses{"depends_on = [{ service = 'b', conditoin = 'healthy' }]",
                          "32: depends_on: unknown key 'conditoin', did you mean 'condition'?"},
        StructuredRefuses{"depends_on = [{ condition = 'started' }]",
                          "15: depends_on: 'service' is missing: the name of the other service"},
        StructuredRefuses{
            "depends_on = [{ service = 'b', condition = 'healty' }]",
            "44: depends_on.condition: 'healty': not one of started, healthy, completed, did you mean 'healthy'?"},
        StructuredRefuses{
            "depends_on = [1]",
            "15: depends_on: expected a name, or a table such as { service = \"db\", condition = \"healthy\" }, "
            "found an integer"},
        StructuredRefuses{"health_check = { tcp = 1, http = 2 }",
                          "16: health_check: give either tcp, or http and perhaps path"},
        StructuredRefuses{"health_check = { http = 0 }",
                          "25: health_check.http: 0: not a whole number from 1 to 65535"},
        StructuredRefuses{"health_check = { http = 80, path = 'x' }",
                          "36: health_check.path: 'x': must begin with '/' and have no blanks"},
        StructuredRefuses{
            "health_check = 7",
            "16: health_check: expected a shell command, a list of arguments, { tcp = PORT } or { http = PORT, "
            "path = \"/\" }, found an integer"}));

TEST(Mounts, ASourceWhoseDirectoryHasAColonCannotBeWrittenBack) {
  Files files;
  files.files["/w:x/conf"] = "";
  const auto loaded = LoadText(Service("volumes = ['./conf:/c']"), "/w:x/shop.toml", files.outside());
  EXPECT_NE(Files::Lines(loaded).find("the host path has a ':' in it"), std::string::npos) << Files::Lines(loaded);
}

}  // namespace
}  // namespace nucleus::spec
