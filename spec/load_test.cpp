// A whole file, from text to topology.
#include "spec/load.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;

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

TEST(Load, AllProblemsComeAtOnce) {
  const auto problems = Files().Load("name='s'\n[services.a]\nmemory='x'\nfoo=1\n[services.b]\ncpus=0\n").problems;
  EXPECT_GE(problems.size(), 4U);
}

TEST(Load, ATopologyWithAProblemIsNone) {
  EXPECT_TRUE(Files().Load(kShop).ok());
  EXPECT_FALSE(Files().Load(std::string(kShop) + "[networks.other]\nmtu = 1\n").ok());
}

TEST(Load, ProblemsAreInTheOrderOfTheFile) {
  const auto problems = Files().Load("name='s'\nfoo=1\n[services.z]\ncpus=0\n[services.a]\nmemory='x'\n").problems;
  EXPECT_TRUE(std::ranges::is_sorted(problems, {}, &Problem::line));
}

TEST(Load, ABadNameHidesNothingBelowIt) {
  const auto problems =
      Files().Problems("name = 'shop'\n[services.'a b']\ncommand = ['x']\nmemroy = '1M'\nservice_mode = 'agent'\n");
  EXPECT_NE(problems.find("'a b' is not a name"), std::string::npos) << problems;
  EXPECT_NE(problems.find("shop.toml:4:1: unknown key 'memroy', did you mean 'memory'?"), std::string::npos)
      << problems;
}

TEST(Load, TheNameAloneIsReadWhateverTheFilePointsAt) {
  Files files;
  files.files["/w/shop.toml"] = "name = 'shop'\n[services.a]\ncommand = ['x']\nenv_file = 'gone'\nrootfs = '/gone'\n";
  const std::vector<std::string> paths{"shop.toml"};
  EXPECT_FALSE(spec::Load(paths, files.outside()).ok());
  const auto loaded = LoadName(paths, files.outside());
  ASSERT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(loaded.topology->name, "shop");
  EXPECT_TRUE(loaded.topology->services.empty());
  files.files["/w/shop.toml"] = "name = 'Not A Name'\n";
  EXPECT_FALSE(LoadName(paths, files.outside()).ok());
}

TEST(Load, AStreamIsKnownByItsName) {
  for (const char* path : {"-", "/dev/stdin", "/dev/fd/63", "/proc/self/fd/0"}) EXPECT_TRUE(IsStream(path)) << path;
  for (const char* path : {"", "--", "/dev/fd/", "/dev/fd/x", "/dev/fd/1x", "/dev/fd/-1", "shop.toml"}) {
    EXPECT_FALSE(IsStream(path)) << path;
  }
}

TEST(Load, AFileOfAStreamIsRelativeToTheWorkingDirectoryAndGivesNoName) {
  Files files;
  files.files["/dev/fd/63"] = "[services.a]\ncommand = ['x']\nservice_mode = 'agent'\nenv_file = 'env'\n";
  files.files["/w/env"] = "A=1\n";
  const std::vector<std::string> paths{"/dev/fd/63"};
  EXPECT_NE(Files::Lines(spec::Load(paths, files.outside())).find("name is missing"), std::string::npos);
  files.files["/dev/fd/63"] = "name = 'shop'\n" + files.files["/dev/fd/63"];
  EXPECT_TRUE(spec::Load(paths, files.outside()).ok()) << Files::Lines(spec::Load(paths, files.outside()));
}

}  // namespace
}  // namespace nucleus::spec
