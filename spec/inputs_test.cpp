#include "spec/inputs.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

using testing::Files;
using testing::Service;
using EnvLines = std::vector<EnvLine>;

TEST(EnvFile, LinesOfAllKinds) {
  const auto file = ParseEnvFile("\n# comment\nA=1\r\n export B=\"two words\" \nC='it''s'\nD=\nE=a=b\n_f2=\"\nG= x");
  EXPECT_TRUE(file.problems.empty());
  EXPECT_EQ(file.pairs, (EnvLines{{"A", "1", 3},
                                  {"B", "two words", 4},
                                  {"C", "it''s", 5},
                                  {"D", "", 6},
                                  {"E", "a=b", 7},
                                  {"_f2", "\"", 8},
                                  {"G", " x", 9}}));
}

TEST(EnvFile, EveryWrongLineIsToldOf) {
  using namespace std::string_literals;
  const auto file = ParseEnvFile("A=1\nnothing\n=x\n1A=x\nA B=c\nN=a\0b\nU=\xff\n"s);
  std::vector<std::size_t> lines;
  for (const auto& [line, cause] : file.problems) lines.push_back(line);
  EXPECT_EQ(lines, (std::vector<std::size_t>{2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(file.pairs, (EnvLines{{"A", "1", 1}}));
}

Digest InputOf(const Files& files, std::string_view lines, const std::string& input) {
  const auto loaded = files.Load(Service(lines));
  if (!loaded.ok()) ADD_FAILURE() << Files::Lines(loaded);
  return loaded.ok() ? loaded.topology->services.at("a").inputs.at(input) : Digest{};
}

TEST(Inputs, EnvFilesLieBelowEnvironmentLaterOnesAboveEarlier) {
  Files files;
  files.files["/w/one.env"] = "A=one\nB=one\nC=one\n";
  files.files["/w/two.env"] = "B=two\nC=two\n";
  EXPECT_EQ(testing::FieldOf(files, "env_file = ['one.env', 'two.env']\nenvironment = { C = 'own' }", "environment"),
            R"({"A":"one","B":"two","C":"own"})");
}

TEST(Inputs, OfAnEnvFileWhatReachesTheServiceCounts) {
  Files files;
  const auto digest = [&](const char* text) {
    files.files["/w/app.env"] = text;
    return InputOf(files, "env_file = 'app.env'\nenvironment = { OWN = 'x' }", "env_file");
  };
  const auto before = digest("A=1\nB=2\n");
  EXPECT_EQ(digest("# said otherwise\nB=\"2\"\r\nexport A=1\nOWN=over\n"), before);
  EXPECT_NE(digest("A=1\nB=3\n"), before);
  EXPECT_NE(digest("A=1\n"), before);
}

TEST(Inputs, ProblemsOfEnvFilesAreAtTheKey) {
  Files files;
  files.files["/w/bad.env"] = "A=1\nnothing\n";
  EXPECT_EQ(files.Problems(Service("env_file = 'bad.env'")), "shop.toml:6:1: env_file: /w/bad.env:2: not NAME=value\n");
  files.files["/w/bad.env"] = "A=1\n\nLD_PRELOAD=/x\n";
  EXPECT_EQ(files.Problems(Service("env_file = 'bad.env'")),
            "shop.toml:6:1: env_file: /w/bad.env:3: LD_PRELOAD leads the dynamic loader: allow_loader_variables = true "
            "permits it\n");
  EXPECT_EQ(
      files.Problems(Service("env_file = 'bad.env'\nenvironment = { LD_PRELOAD = '/y' }")),
      "shop.toml:7:17: environment: LD_PRELOAD leads the dynamic loader: allow_loader_variables = true permits it\n");
  EXPECT_EQ(files.Problems(Service("env_file = 'bad.env'\nallow_loader_variables = true")), "");
  EXPECT_NE(
      files.Problems(Service("env_file = ['no.env']")).find("shop.toml:6:1: env_file: read /w/no.env: No such file"),
      std::string::npos);
}

TEST(Inputs, ConfigurationIsPartOfTheServiceWhatItMayWriteIsNot) {
  Files files;
  files.files["/w/app.conf"] = "one";
  const auto before = InputOf(files, "volumes = ['./app.conf:/etc/app.conf:ro']", "volumes:/etc/app.conf");
  files.files["/w/app.conf"] = "two";
  EXPECT_NE(InputOf(files, "volumes = ['./app.conf:/etc/app.conf:ro']", "volumes:/etc/app.conf"), before);
  EXPECT_TRUE(files.Load(Service("volumes = ['./app.conf:/x:rw']")).topology->services.at("a").inputs.empty());
}

TEST(Inputs, ALargeFileIsDataAndIsNotEvenRead) {
  Files files;
  files.files["/w/big"] = std::string(kLargestConfigFile + 1, 'x');
  auto outside = files.outside();
  int reads = 0;
  outside.read_file = [&](const std::string& path) -> Result<std::string> {
    ++reads;
    return files.files.at(path);
  };
  const auto text = Service("volumes = ['./big:/big:ro']");
  EXPECT_TRUE(LoadText(text, "shop.toml", outside).topology->services.at("a").inputs.empty());
  EXPECT_EQ(reads, 1);
  outside.file_size = [&](const std::string& path) { return files.files.at(path).size(); };
  EXPECT_TRUE(LoadText(text, "shop.toml", outside).topology->services.at("a").inputs.empty());
  EXPECT_EQ(reads, 1);
}

TEST(Inputs, AFileOfManyServicesIsReadOnce) {
  Files files;
  files.files["/w/app.conf"] = "one";
  auto outside = files.outside();
  int reads = 0;
  outside.read_file = [&](const std::string& path) -> Result<std::string> {
    ++reads;
    return files.files.at(path);
  };
  const auto loaded = LoadText(
      "name='s'\n[defaults]\nservice_mode='agent'\ncommand=['x']\nvolumes=['./app.conf:/"
      "c:ro']\n[services.a]\n[services.b]\n",
      "shop.toml", outside);
  EXPECT_TRUE(loaded.ok()) << Files::Lines(loaded);
  EXPECT_EQ(reads, 1);
}

TEST(Inputs, TheManifestStandsForTheRootfs) {
  Files files;
  files.files["/srv/root/.nucleus-rootfs-sha256"] = "a";
  const auto before = InputOf(files, "rootfs = '/srv/root'", "rootfs");
  files.files["/srv/root/.nucleus-rootfs-sha256"] = "b";
  EXPECT_NE(InputOf(files, "rootfs = '/srv/root'", "rootfs"), before);
}

TEST(PolicyFiles, AreThereAndHaveTheirDigest) {
  Files files;
  files.files["/w/p.json"] = "{}";
  const auto right = Sha256::Of("{}").Hex();
  const auto problems = [&](const std::string& lines) { return files.Problems(Service(lines)); };
  EXPECT_NE(problems("seccomp_profile = 'q.json'").find("6:19: seccomp_profile: 'q.json': there is no file /w/q.json"),
            std::string::npos);
  EXPECT_NE(problems("caps_policy = '/srv/x'").find("6:15: caps_policy: '/srv/x': /srv/x is no file"),
            std::string::npos);
  for (const std::string key : {"seccomp_profile", "caps_policy", "landlock_policy"}) {
    const auto with = [&](const std::string& digest) {
      return problems(key + " = 'p.json'\n" + key + "_sha256 = '" + digest + "'");
    };
    EXPECT_NE(with(std::string(64, '0')).find("the file p.json has sha256:" + right), std::string::npos) << key;
    EXPECT_EQ(with("sha256:" + right).find("has sha256"), std::string::npos) << key;
    EXPECT_NE(with("12").find(key + "_sha256: '12': "), std::string::npos) << with("12");
    EXPECT_NE(problems(key + "_sha256 = '" + right + "'").find("there is no " + key + " it could be the digest of"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace nucleus::spec
