#include "reconcile/data_keepers.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <vector>

#include "spec/core/paths.hpp"

namespace nucleus::reconcile {
namespace {

TEST(DataKeepers, NamesWhoHasADirectoryOneAboveOrOneBelow) {
  DataKeepers keepers;
  keepers.Add("/srv/data", "volume.data");
  keepers.Add("/srv/data-old/", "volume.old");
  keepers.Add("/srv/data", "volume.second");
  EXPECT_EQ(keepers.Of("/srv/data"), "volume.data");
  EXPECT_EQ(keepers.Of("/srv//data/rows/"), "volume.data");
  EXPECT_EQ(keepers.Of("/srv/data-old/x"), "volume.old");
  EXPECT_EQ(keepers.Of("/srv/data-older"), "");
  EXPECT_EQ(keepers.Of("/srv/dat"), "");
  EXPECT_NE(keepers.Of("/srv"), "");
  EXPECT_NE(keepers.Of("/"), "");
  EXPECT_EQ(DataKeepers().Of("/"), "");
}

RC_GTEST_PROP(DataKeepers, AgreeWithComparingEachPair,
              (const std::vector<std::string>& texts, const std::string& asked)) {
  const auto path = [](std::string text) {
    for (char& c : text) c = "/ab-"[static_cast<unsigned char>(c) % 4];
    std::string normal = std::filesystem::path("/" + text).lexically_normal();
    while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
    return normal.starts_with("//") ? normal.substr(1) : normal;
  };
  DataKeepers keepers;
  bool meets = false;
  for (const auto& text : texts) {
    keepers.Add(path(text), "somebody");
    meets = meets || Nested(path(text), path(asked));
  }
  RC_ASSERT(keepers.Of(path(asked)) == (meets ? "somebody" : ""));
}

}  // namespace
}  // namespace nucleus::reconcile
