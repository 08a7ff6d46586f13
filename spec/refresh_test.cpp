#include "spec/refresh.hpp"

#include <gtest/gtest.h>

#include "spec/testing.hpp"

namespace nucleus::spec {
namespace {

TEST(Refresh, TakesWhatFilesHoldNowAndTellsWhichAreOthers) {
  std::map<std::string, std::string> files{{"/conf", "new"}, {"/same", "same"}};
  Outside outside;
  outside.read_file = [&](const std::string& path) -> Result<std::string> { return files.at(path); };
  outside.path_kind = [&](const std::string& path) {
    return files.contains(path) ? Outside::PathKind::kFile : Outside::PathKind::kAbsent;
  };
  Topology topology;
  Service& web = topology.services["web"];
  web.volumes = {{"", "/conf", "/etc/conf", true, false},
                 {"", "/same", "/same", true, false},
                 {"", "/gone", "/gone", true, false}};
  web.inputs = {{"volumes:/etc/conf", Sha256::Of("old")},
                {"volumes:/same", Sha256::Of("same")},
                {"volumes:/gone", Sha256::Of("gone")},
                {"env_file", Sha256::Of("kept")}};
  const auto told = TakeContentsAsTheyAre(topology, outside);
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].starts_with("service.web: /conf ")) << told[0];
  EXPECT_EQ(web.inputs.at("volumes:/etc/conf"), Sha256::Of("new"));
  EXPECT_EQ(web.inputs.at("volumes:/gone"), Sha256::Of("gone"));
  EXPECT_EQ(web.inputs.at("env_file"), Sha256::Of("kept"));
}

}  // namespace
}  // namespace nucleus::spec
