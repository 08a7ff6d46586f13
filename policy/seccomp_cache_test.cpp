// The cache of compiled programs: keys, torn and changed files.
#include "policy/seccomp_cache.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <stdlib.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "policy/seccomp_compile.hpp"
#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

class SeccompCache : public ::testing::Test {
 protected:
  SeccompCache() {
    std::string name = std::filesystem::temp_directory_path() / "nucleus-policy-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~SeccompCache() override { std::filesystem::remove_all(directory_); }
  std::string directory_;
};

const CachedSeccomp kEntry{{{0x20, 0, 0, 4}, {0x15, 1, 2, 0xc000003eU}, {6, 0, 0, 0x7fff0000U}}, true, false};

TEST_F(SeccompCache, GivesBackWhatWasStored) {
  const Digest key = SeccompCacheKey("{}", {}, "2.5.4");
  EXPECT_FALSE(LoadCachedSeccomp(directory_, key));
  ASSERT_TRUE(StoreCachedSeccomp(directory_, key, kEntry));
  EXPECT_EQ(LoadCachedSeccomp(directory_, key), kEntry);
  ASSERT_TRUE(StoreCachedSeccomp(directory_, key, kEntry));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory_), {}), 1);
  EXPECT_FALSE(LoadCachedSeccomp(directory_ + "/none", key));
  EXPECT_FALSE(StoreCachedSeccomp(directory_ + "/none", key, kEntry));
}

TEST_F(SeccompCache, KeepsTheYoungest) {
  const auto key = [](std::size_t i) { return SeccompCacheKey(std::to_string(i), {}, "2.5.4"); };
  constexpr std::size_t kStored = kMostCachedSeccomp + 3;
  std::ofstream(directory_ + "/other") << "of somebody else";
  for (std::size_t i = 0; i < kStored; ++i) {
    ASSERT_TRUE(StoreCachedSeccomp(directory_, key(i), kEntry));
    // The time of the kernel's files goes on in steps: some would be of the same age.
    const auto age = std::chrono::hours(kStored - i);
    const auto path = directory_ + "/" + key(i).Hex() + ".bpf";
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - age);
  }
  for (std::size_t i = 0; i < kStored; ++i) EXPECT_EQ(LoadCachedSeccomp(directory_, key(i)).has_value(), i >= 3) << i;
  EXPECT_TRUE(std::filesystem::exists(directory_ + "/other"));
}

TEST_F(SeccompCache, KeysDependOnEverything) {
  const SeccompInputs inputs;
  const Digest key = SeccompCacheKey("{}", inputs, "2.5.4");
  EXPECT_NE(key, SeccompCacheKey("{} ", inputs, "2.5.4"));
  EXPECT_NE(key, SeccompCacheKey("{}", inputs, "2.6.0"));
  EXPECT_NE(key, SeccompCacheKey("{}", {.capabilities = 1, .allow = {}}, "2.5.4"));
  EXPECT_NE(key, SeccompCacheKey("{}", {.kernel = {6, 2}, .allow = {}}, "2.5.4"));
  EXPECT_NE(key, SeccompCacheKey("{}", {.allow = {"a"}}, "2.5.4"));
  EXPECT_EQ(SeccompCacheKey("{}", {.allow = {"a", "b"}}, "2.5.4"),
            SeccompCacheKey("{}", {.allow = {"b", "a"}}, "2.5.4"));
  EXPECT_NE(SeccompCacheKey("{}", {.allow = {"a", "b"}}, "2.5.4"), SeccompCacheKey("{}", {.allow = {"ab"}}, "2.5.4"));
}

TEST_F(SeccompCache, PassesOverEveryCutAndEveryChangedBit) {
  const Digest key = SeccompCacheKey("{}", {}, "2.5.4");
  const std::string whole = EncodeCachedSeccomp(key, kEntry);
  EXPECT_EQ(DecodeCachedSeccomp(key, whole), kEntry);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(DecodeCachedSeccomp(key, whole.substr(0, size)));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    std::string changed = whole;
    changed[bit / 8] = static_cast<char>(changed[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(DecodeCachedSeccomp(key, changed));
  }
  EXPECT_FALSE(DecodeCachedSeccomp(key, whole + std::string(8, '\0')));
  EXPECT_FALSE(DecodeCachedSeccomp(SeccompCacheKey("", {}, ""), whole));
}

TEST_F(SeccompCache, BuildingTwiceCompilesOnce) {
  const std::string text = testing::WithRules(
      testing::Rule("nonsense", "SCMP_ACT_ALLOW", "") + "," + testing::Rule("read", "SCMP_ACT_ALLOW", ""),
      "SCMP_ACT_ERRNO", R"(,"flags":["SECCOMP_FILTER_FLAG_LOG"])");
  const auto first = BuildSeccomp(text, "p.json", {}, directory_);
  ASSERT_TRUE(first.program);
  EXPECT_FALSE(first.cached);
  EXPECT_EQ(first.problems.size(), 1U);
  const auto second = BuildSeccomp(text, "p.json", {}, directory_);
  EXPECT_TRUE(second.cached);
  EXPECT_EQ(second.program, first.program);
  EXPECT_TRUE(second.flag_log);
  // A torn entry is made anew.
  const std::string path = std::filesystem::directory_iterator(directory_)->path();
  std::filesystem::resize_file(path, 40);
  const auto third = BuildSeccomp(text, "p.json", {}, directory_);
  EXPECT_FALSE(third.cached);
  EXPECT_EQ(third.program, first.program);
  EXPECT_TRUE(BuildSeccomp(text, "p.json", {}, directory_).cached);
  const auto nowhere = BuildSeccomp(text, "p.json", {}, directory_ + "/none");
  EXPECT_EQ(nowhere.program, first.program);
  EXPECT_EQ(nowhere.problems.size(), 2U);
  EXPECT_TRUE(nowhere.problems.back().warning);
}

}  // namespace
}  // namespace nucleus::policy
