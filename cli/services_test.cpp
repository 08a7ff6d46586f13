#include "cli/services.hpp"

#include <gtest/gtest.h>

#include "cli/listing_json.hpp"
#include "cli/table.hpp"

namespace nucleus::cli {
namespace {

ServiceRow Row(std::string project, std::string name, std::string id, std::string state) {
  ServiceRow row;
  row.project = std::move(project);
  row.address = {Kind::kService, std::move(name)};
  row.id = std::move(id);
  row.state = std::move(state);
  return row;
}

std::vector<ServiceRow> Rows() {
  std::vector<ServiceRow> rows{Row("blog", "web", "0123456789abcdef0123456789abcdef", "running"),
                               Row("shop", "db", "01ff456789abcdef0123456789abcdef", "running"),
                               Row("shop", "migrate", "", "completed"),
                               Row("shop", "web", "4444456789abcdef0123456789abcdef", "failed")};
  rows[1].health = "healthy";
  rows[1].started_ms = 1'000'000;
  rows[1].restarts = 2;
  rows[1].ports = {"127.0.0.1:8080:80/tcp"};
  rows[1].egress_denied = 7;
  rows[3].exit_code = "137";
  return rows;
}

TEST(Services, AreFoundByNameAddressAndId) {
  const auto rows = Rows();
  EXPECT_EQ(FindService(rows, "db")->Name(), "shop/db");
  EXPECT_EQ(FindService(rows, "shop/web")->Name(), "shop/web");
  EXPECT_EQ(FindService(rows, "blog/service.web")->Name(), "blog/web");
  EXPECT_EQ(FindService(rows, "4444")->Name(), "shop/web");
  EXPECT_EQ(FindService(rows, "0123456789ab")->Name(), "blog/web");
}

TEST(Services, AnAmbiguousNameListsAllThatFit) {
  const auto found = FindService(Rows(), "web");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kConflict);
  EXPECT_EQ(found.error().hint, "one of blog/web, shop/web");
}

TEST(Services, AnUnknownNameOffersTheNearest) {
  const auto found = FindService(Rows(), "migrat");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(found.error().hint, "did you mean 'migrate'?");
  EXPECT_FALSE(FindService(Rows(), ""));
  EXPECT_FALSE(FindService({}, "web"));
  EXPECT_FALSE(FindService(Rows(), "01")) << "too short for an id";
}

TEST(Services, AreListedInColumns) {
  const std::string text = ServicesText(Rows(), 1'090'000);
  EXPECT_NE(
      text.find("shop/db       01ff456789ab  running       healthy  90s     2         7       127.0.0.1:8080:80/tcp\n"),
      std::string::npos)
      << text;
  EXPECT_NE(text.find("failed (137)"), std::string::npos);
}

TEST(Services, SayWhyTheyEndedAndWhen) {
  auto rows = Rows();
  rows[3].state = "exited";
  rows[3].reason = "oom";
  rows[3].finished_ms = 1'000'000;
  EXPECT_NE(ServicesText(rows, 1'090'000).find("exited (137, oom) 90s ago"), std::string::npos);
  rows[3].reason = "exit";
  EXPECT_NE(ServicesText(rows, 1'090'000).find("exited (137) 90s ago"), std::string::npos);
  const std::string json = ServicesJson(rows);
  EXPECT_NE(json.find("\"finished\":\"1970-01-01T00:16:40.000Z\",\"exit_code\":137,\"reason\":\"exit\""),
            std::string::npos);
}

TEST(Services, JsonHasThemAll) {
  const std::string json = ServicesJson(Rows());
  EXPECT_NE(json.find("\"format_version\":1"), std::string::npos);
  EXPECT_NE(json.find("\"name\":\"shop/db\""), std::string::npos);
  EXPECT_NE(json.find("\"exit_code\":137"), std::string::npos);
  EXPECT_NE(json.find("\"egress_denied\":7"), std::string::npos);
  EXPECT_NE(json.find("\"egress_denied\":null"), std::string::npos);
  EXPECT_NE(json.find("\"started\":\"1970-01-01T00:16:40.000Z\""), std::string::npos);
}

TEST(Services, KnowWhatHasEnded) {
  const auto rows = Rows();
  EXPECT_FALSE(rows[0].Ended());
  EXPECT_TRUE(rows[2].Ended());
  EXPECT_TRUE(rows[3].Ended());
}

TEST(Table, PadsByCharactersNotBytes) {
  EXPECT_EQ(TableText({{"ä", "b"}, {"cc", "d"}}), "ä   b\ncc  d\n");
}

TEST(Table, RoughBytes) {
  EXPECT_EQ(RoughBytes(0), "0B");
  EXPECT_EQ(RoughBytes(999), "999B");
  EXPECT_EQ(RoughBytes(1536), "1.5K");
  EXPECT_EQ(RoughBytes(512ULL << 20), "512.0M");
  EXPECT_EQ(RoughBytes(1000ULL << 10), "1000.0K");
  EXPECT_EQ(RoughBytes(1024ULL << 10), "1.0M");
  EXPECT_EQ(RoughBytes(~0ULL), "15.9E");
}

TEST(Table, RoughDurations) {
  EXPECT_EQ(RoughDuration(-5), "0s");
  EXPECT_EQ(RoughDuration(99'999), "99s");
  EXPECT_EQ(RoughDuration(100'000), "1m");
  EXPECT_EQ(RoughDuration(7'200'000), "2h");
  EXPECT_EQ(RoughDuration(3LL * 86'400'000), "3d");
}

}  // namespace
}  // namespace nucleus::cli
