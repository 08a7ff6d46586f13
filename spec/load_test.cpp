#include "spec/load.hpp"

#include <gtest/gtest.h>

#include "spec/keys.hpp"

namespace nucleus::spec {
namespace {

class Files {
 public:
  std::map<std::string, std::string> files;
  std::map<std::string, std::string> variables;
  std::vector<Ipv4Net> routes;

  [[nodiscard]] Outside outside() const {
    Outside outside;
    outside.read_file = [this](const std::string& path) -> Result<std::string> {
      const auto found = files.find(path);
      if (found == files.end()) return FailSys("read", path, ENOENT);
      return found->second;
    };
    outside.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables.find(name);
      if (found == variables.end()) return std::nullopt;
      return found->second;
    };
    outside.path_kind = [this](const std::string& path) {
      if (files.contains(path)) return Outside::PathKind::kFile;
      return path.starts_with("/srv") ? Outside::PathKind::kDirectory : Outside::PathKind::kAbsent;
    };
    outside.host_routes = [this] { return routes; };
    outside.list_directory = [](const std::string& path) -> Result<std::vector<std::string>> {
      return FailSys("list", path, ENOENT);
    };
    outside.working_directory = "/w";
    return outside;
  }
  [[nodiscard]] Loaded Load(std::string_view text) const { return LoadText(text, "shop.toml", outside()); }
  [[nodiscard]] std::string Problems(std::string_view text) const {
    std::string all;
    for (const auto& problem : Load(text).problems) all += problem.Text() + "\n";
    return all;
  }
};

constexpr std::string_view kShop = R"(
name = "shop"
[defaults]
service_mode = "agent"
[networks.internal]
subnet = "10.42.0.0/24"
[volumes.data]
volume_type = "persistent"
path = "/srv/data"
owner = "70:70"
[services.db]
command = ["postgres"]
memory = "512M"
networks = ["internal"]
volumes = ["data:/var/lib/postgresql"]
health_check = "pg_isready"
health_interval = 5
[services.migrate]
type = "job"
command = ["psql"]
networks = ["internal"]
depends_on = [{ service = "db", condition = "healthy" }]
[services.web]
command = ["/bin/web"]
networks = ["internal"]
port_forwards = ["127.0.0.1:8080:80"]
[[services.web.depends_on]]
service = "migrate"
condition = "completed"
restart = true
)";

TEST(Load, ATopologyIsReadWithTypesDefaultsAndPlaces) {
  const auto loaded = Files().Load(kShop);
  ASSERT_TRUE(loaded.ok()) << Files().Problems(kShop);
  const auto& topology = *loaded.topology;
  EXPECT_EQ(topology.name, "shop");
  const auto& db = topology.services.at("db");
  EXPECT_EQ(db.mode, ServiceMode::kAgent);
  EXPECT_EQ(db.memory, Bytes{512} << 20);
  EXPECT_EQ(db.health->interval, Duration{5000});
  EXPECT_EQ(std::get<CommandProbe>(db.health->probe).argv, (std::vector<std::string>{"/bin/sh", "-c", "pg_isready"}));
  EXPECT_EQ(db.places.at("memory").line, 13U);
  const auto& web = topology.services.at("web");
  EXPECT_EQ(web.port_forwards.at(0).host_port, 8080);
  EXPECT_EQ(web.depends_on.at(0), (Dependency{"migrate", Condition::kCompleted, true}));
  EXPECT_EQ(topology.services.at("migrate").restart, RestartPolicy::kNo);
  EXPECT_EQ(StartOrder(topology), (std::vector<std::string>{"db", "migrate", "web"}));
}

TEST(Load, CanonicalJsonReadsBack) {
  const auto topology = *Files().Load(kShop).topology;
  const auto json = ToJson(topology);
  const auto back = FromJson(json);
  ASSERT_TRUE(back) << back.error().Message();
  EXPECT_EQ(ToJson(*back), json);
  for (const auto& [name, service] : topology.services) {
    EXPECT_EQ(CanonicalFields(back->services.at(name)), CanonicalFields(service));
    const auto one = ServiceFromJson(ToJson(service));
    ASSERT_TRUE(one) << one.error().Message();
    EXPECT_EQ(CanonicalFields(*one), CanonicalFields(service));
    EXPECT_EQ(one->name, name);
  }
}

TEST(Load, WhatIsNotCanonicalJsonIsCorrupt) {
  for (const auto* text : {"", "{", "[]", "{}", R"({"name":"x","services":[]})",
                           R"({"name":"x","services":{"a":{"zz":1}}})", R"({"name":"../x"})"}) {
    const auto read = FromJson(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::kCorrupt) << text;
  }
}

TEST(Load, MeaningNotSpellingIsWhatTheDigestIsOver) {
  const Files files;
  const auto one = files.Load("name='a'\n[services.s]\nservice_mode='agent'\ncommand=['x']\nmemory='1G'\n");
  const auto other = files.Load(
      "name='a'\n[defaults]\nservice_mode='agent'\n[services.s]\nmemory=1073741824\ncommand=['x']\nrestart='on-failure'"
      "\n");
  ASSERT_TRUE(one.ok() && other.ok());
  EXPECT_EQ(DigestOf(CanonicalFields(one.topology->services.at("s"))),
            DigestOf(CanonicalFields(other.topology->services.at("s"))));
}

struct Bad {
  const char* text;
  const char* problem;  // a part of it
};

class BadFiles : public testing::TestWithParam<Bad> {};

TEST_P(BadFiles, AreRefusedWithTheirPlace) {
  Files files;
  files.routes = {{Ipv4{0xc0a80000}, 16}};
  const auto text =
      std::string("name = 'shop'\n[defaults]\nservice_mode = 'agent'\ncommand = ['x']\n") + GetParam().text;
  const auto problems = files.Problems(text);
  EXPECT_NE(problems.find(GetParam().problem), std::string::npos) << problems;
  EXPECT_FALSE(files.Load(text).ok());
}

INSTANTIATE_TEST_SUITE_P(
    Load, BadFiles,
    testing::Values(
        Bad{"[services.a]\nmemroy = '1G'\n", "shop.toml:6:1: unknown key 'memroy', did you mean 'memory'?"},
        Bad{"[services.a]\nmemory = '1Q'\n", "shop.toml:6:10: memory: '1Q': "},
        Bad{"[services.a]\nmemory = true\n", "memory: expected "},
        Bad{"[services.a]\nnetworks = ['x']\n", "networks: there is no network 'x'"},
        Bad{"[services.a]\nvolumes = ['data:/d']\n", "there is no volume 'data'"},
        Bad{"[services.a]\ndepends_on = ['b']\n[services.bb]\n", "there is no service 'b'"},
        Bad{"[services.a]\ndepends_on = ['b']\n[services.b]\ndepends_on = ['a']\n", "wait for each other: "},
        Bad{"[services.a]\ndepends_on = [{service='b',condition='healthy'}]\n[services.b]\n", "has no health_check"},
        Bad{"[services.a]\ndepends_on = [{service='b',condition='completed'}]\n[services.b]\n", "is no job"},
        Bad{"[services.a]\nhealth_interval = 3\n", "health_interval: there is no health_check"},
        Bad{"[services.a]\ntype = 'job'\nrestart = 'always'\n", "a job is not restarted"},
        Bad{"[services.a]\nservice_mode = 'production'\n", "a rootfs is required in production"},
        Bad{"[services.a]\nservice_mode = 'production'\n", "a memory limit is required in production"},
        Bad{"[services.a]\nrootfs = '/nowhere'\n", "rootfs: there is no directory /nowhere"},
        Bad{"[services.a]\ntmpfs = ['/proc/x']\n", "would cover /proc"},
        Bad{"[services.a]\ntmpfs = ['/x', '/x']\n", "two mounts on '/x'"},
        Bad{"[networks.n]\nsubnet = '10.0.0.0/33'\n", "subnet: "},
        Bad{"[networks.n]\nsubnet = '192.168.3.0/24'\n", "which this machine reaches already"},
        Bad{"[networks.n]\nsubnet = '10.0.0.0/24'\n[networks.m]\nsubnet = '10.0.0.128/25'\n", "overlaps that of "},
        Bad{"[networks.n]\nsubnet='10.0.0.0/24'\n[services.a]\nnetworks=['n']\nport_forwards=['80:80']\n[services.b]\n"
            "networks=['n']\nport_forwards=['127.0.0.1:80:81']\n",
            "clashes with "},
        Bad{"[services.a]\nport_forwards = ['80:80']\n", "is on no network"},
        Bad{"[services.a]\nsecrets = ['a:b']\n", "secrets: not supported yet"},
        Bad{"[services.a]\nruntime = 'gvisor'\n", "runtime: not supported yet"},
        Bad{"[services.a]\nworkdir = '${WHERE:?say where}'\n", "say where"},
        Bad{"[volumes.v]\n", "a persistent volume needs a path"}, Bad{"[services.'a b']\n", "is not a name"},
        Bad{"include = ['none.toml']\n", "unknown key 'include'"},
        Bad{"[services.a]\nenv_file = 'none.env'\n", "none.env"},
        Bad{"[service.a]\n", "unknown key 'service', did you mean 'services'?"}, Bad{"[services.a\n", "shop.toml:5:"}));

TEST(Load, AMissingIncludeIsAProblemAtItsLine) {
  EXPECT_NE(Files().Problems("name='s'\ninclude=['none.toml']\n").find("shop.toml:2:"), std::string::npos);
}

TEST(Load, AllProblemsComeAtOnce) {
  const auto problems = Files().Load("name='s'\n[services.a]\nmemory='x'\nfoo=1\n[services.b]\ncpus=0\n").problems;
  EXPECT_GE(problems.size(), 4U);
}

TEST(Load, VariablesAndIncludes) {
  Files files;
  files.files["/w/base.toml"] = "[defaults]\nservice_mode='agent'\ncommand=['base']\n[services.a]\nmemory='1G'\n";
  files.variables["SIZE"] = "2G";
  const auto loaded = files.Load(
      "name='s'\ninclude=['base.toml']\n[services.a]\nmemory='${SIZE}'\nworkdir='${NONE:-/x}'\nhostname='a$$b'\n");
  EXPECT_FALSE(loaded.ok());  // a host name has no dollar sign
  const auto good =
      files.Load("name='s'\ninclude=['base.toml']\n[services.a]\nmemory='${SIZE}'\nworkdir='${NONE:-/x}'\n");
  ASSERT_TRUE(good.ok()) << (good.problems.empty() ? "" : good.problems[0].Text());
  const auto& a = good.topology->services.at("a");
  EXPECT_EQ(a.memory, Bytes{2} << 30);
  EXPECT_EQ(a.workdir, "/x");
  EXPECT_EQ(a.command, std::vector<std::string>{"base"});
}

TEST(Load, EnvFilesLieBelowEnvironmentAndLeaveADigest) {
  Files files;
  files.files["/w/app.env"] = "# comment\nA=file\nexport B=\"two words\"\n";
  const auto text =
      "[container]\nname='app'\nservice_mode='agent'\ncommand=['x']\nenv_file='app.env'\nenvironment={A='own'}\n";
  const auto loaded = files.Load(text);
  ASSERT_TRUE(loaded.ok()) << files.Problems(text);
  EXPECT_TRUE(loaded.topology->single_container);
  const auto& app = loaded.topology->services.at("app");
  EXPECT_EQ(app.environment, (std::map<std::string, std::string>{{"A", "own"}, {"B", "two words"}}));
  const auto before = app.inputs.at("env_file");
  files.files["/w/app.env"] += "\n";
  EXPECT_NE(files.Load(text).topology->services.at("app").inputs.at("env_file"), before);
}

TEST(Load, TheSchemaNamesEveryKey) {
  const auto schema = JsonSchema();
  for (const auto& key : Keys())
    EXPECT_NE(schema.find("\"" + std::string(key.name) + "\""), std::string::npos) << key.name;
}

}  // namespace
}  // namespace nucleus::spec
