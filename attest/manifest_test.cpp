#include "attest/manifest.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace nucleus::attest {
namespace {

const std::string kA(64, 'a');
const std::string kHead = "nucleus-rootfs-manifest 2\n";

Manifest Good(const std::string& text) {
  auto manifest = ParseManifest(text, "m");
  EXPECT_TRUE(manifest) << manifest.error().Message();
  return manifest ? *manifest : Manifest{};
}

std::string Bad(const std::string& text) {
  const auto manifest = ParseManifest(text, "m");
  EXPECT_FALSE(manifest) << text;
  return manifest ? "" : manifest.error().Message();
}

TEST(Manifest, PlainIsDigestTabPath) {
  const Manifest manifest = Good(kA + "\tusr/bin/x\n" + std::string(64, '0') + "\tb\ttab\\ and \xff\n");
  ASSERT_EQ(manifest.entries.size(), 2U);
  EXPECT_EQ(manifest.format, Format::kPlain);
  EXPECT_EQ(manifest.entries[0].path, "b\ttab\\ and \xff");  // as it is, and in order
  EXPECT_EQ(manifest.entries[1].path, "usr/bin/x");
  EXPECT_EQ(manifest.entries[1].digest.Hex(), kA);
}

TEST(Manifest, PlainNeedsNoNewlineAtTheEndAndMayBeEmpty) {
  EXPECT_EQ(Good(kA + "\tx").entries.size(), 1U);
  EXPECT_TRUE(Good("").entries.empty());
}

TEST(Manifest, PlainHasNoWayToWriteANewline) {
  Manifest manifest;
  manifest.entries.push_back({.path = "a\nb"});
  const auto text = WriteManifest(manifest);
  ASSERT_FALSE(text);
  EXPECT_NE(text.error().Message().find("a\\x0ab"), std::string::npos) << text.error().Message();
}

TEST(Manifest, ExtendedIsReadAsDocumented) {
  const Manifest manifest =
      Good(kHead + "d\t0755\t0\t0\t-\t-\t.\nf\t4711\t1\t2\t12\t" + kA + "\ta\\x0a\\\\b\nl\t-\t0\t0\t-\t-\tlink\n");
  ASSERT_EQ(manifest.entries.size(), 3U);
  EXPECT_EQ(manifest.format, Format::kExtended);
  EXPECT_EQ(manifest.entries[0], (Entry{.kind = Kind::kDirectory, .mode = 0755}));
  EXPECT_EQ(manifest.entries[1].path, "a\n\\b");
  EXPECT_EQ(manifest.entries[1].mode, 04711U);
  EXPECT_EQ(manifest.entries[1].uid, 1U);
  EXPECT_EQ(manifest.entries[1].gid, 2U);
  EXPECT_EQ(manifest.entries[1].size, 12U);
  EXPECT_EQ(manifest.entries[2].target, "-");
}

TEST(Manifest, HostilePathsAreRefusedWithTheirLine) {
  const std::string first = kA + "\tok\n" + kA + "\t";
  for (const std::string& path :
       {std::string("/etc/passwd"), std::string("../x"), std::string("a/../b"), std::string("a/.."), std::string("."),
        std::string("./a"), std::string("a//b"), std::string("a/"), std::string(""), std::string("a\0b", 3),
        std::string(256, 'n'), std::string(".nucleus-rootfs-sha256")}) {
    EXPECT_TRUE(Bad(first + path + "\n").starts_with("m:2: ")) << path;
    EXPECT_TRUE(Bad(kHead + "f\t0644\t0\t0\t1\t" + kA + "\t" + path + "\n").starts_with("m:2: ")) << path;
  }
  EXPECT_TRUE(Bad(kHead + "f\t0644\t0\t0\t1\t" + kA + "\ta\\x00b\n").starts_with("m:2: the path holds NUL"));
  EXPECT_TRUE(Bad(kHead + "f\t0644\t0\t0\t1\t" + kA + "\t\\x2e\\x2e/b\n").starts_with("m:2: "));
  std::string deep;
  while (deep.size() <= kMostPathBytes) deep += "d/";
  EXPECT_TRUE(Bad(first + deep + "x\n").starts_with("m:2: the path is longer"));
}

TEST(Manifest, APathTwiceIsRefusedAlsoWhereItIsSpeltInTwoWays) {
  EXPECT_EQ(Bad(kA + "\tb\n" + kA + "\ta\n" + kA + "\tb\n"), "m:3: 'b' is there already, in line 1");
  const std::string line = "\t0644\t0\t0\t1\t" + kA + "\t";
  EXPECT_EQ(Bad(kHead + "f" + line + "a\nf" + line + "\\x61\n"), "m:3: 'a' is there already, in line 2");
}

TEST(Manifest, WrongFieldsAreNamed) {
  EXPECT_TRUE(Bad(kA + " x\n").starts_with("m:1: expected 64"));
  EXPECT_TRUE(Bad("sha256:" + std::string(57, 'a') + "\tx\n").starts_with("m:1: expected 64"));
  EXPECT_TRUE(Bad("\n").starts_with("m:1: expected 64"));
  EXPECT_TRUE(Bad("nucleus-rootfs-manifest 3\n").starts_with("m:1: unknown version '3'"));
  const auto extended = [](const std::string& line) { return Bad(kHead + line + "\n"); };
  EXPECT_TRUE(extended("x\t0644\t0\t0\t1\t" + kA + "\ta").starts_with("m:2: unknown type 'x'"));
  EXPECT_TRUE(extended("f\t644\t0\t0\t1\t" + kA + "\ta").starts_with("m:2: mode"));
  EXPECT_TRUE(extended("f\t0844\t0\t0\t1\t" + kA + "\ta").starts_with("m:2: mode"));
  EXPECT_TRUE(extended("f\t0644\t-1\t0\t1\t" + kA + "\ta").starts_with("m:2: '-1' is not a user"));
  EXPECT_TRUE(extended("f\t0644\t0\t4294967296\t1\t" + kA + "\ta").starts_with("m:2: '4294967296' is not a group"));
  EXPECT_TRUE(extended("f\t0644\t0\t0\t1k\t" + kA + "\ta").starts_with("m:2: size"));
  EXPECT_TRUE(extended("f\t0644\t0\t0\t1\t" + kA + "0\ta").starts_with("m:2: '"));
  EXPECT_TRUE(extended("d\t0755\t0\t0\t4096\t-\ta").starts_with("m:2: size"));
  EXPECT_TRUE(extended("d\t0755\t0\t0\t-\t" + kA + "\ta").starts_with("m:2: a directory has no value"));
  EXPECT_TRUE(extended("l\t0777\t0\t0\t-\tx\ta").starts_with("m:2: mode"));
  EXPECT_TRUE(extended("l\t-\t0\t0\t-\t\ta").starts_with("m:2: the target is empty"));
  EXPECT_TRUE(extended("f\t0644\t0\t0\t1\t" + kA + "\ta\\q").starts_with("m:2: expected \\\\"));
  EXPECT_TRUE(extended("f\t0644\t0\t0\t1\t" + kA).starts_with("m:2: expected 7 fields"));
  EXPECT_TRUE(extended("f\t0644\t0\t0\t1\t" + kA + "\t.").starts_with("m:2: the root is no directory"));
}

// ---- any manifest is written and read as the same ----

rc::Gen<std::string> AnyName() {
  // Much of what is odd: control characters, backslashes, halves of UTF-8.
  const auto byte = rc::gen::weightedOneOf<char>({{3, rc::gen::inRange('a', 'e')},
                                                  {2, rc::gen::element('\n', '\t', '\\', '-', '.', ' ', '\x7f')},
                                                  {1, rc::gen::nonZero<char>()}});
  return rc::gen::suchThat(rc::gen::container<std::string>(byte), [](const std::string& name) {
    return !name.empty() && name.size() < 200 && name != "." && name != ".." && name.find('/') == std::string::npos;
  });
}

rc::Gen<std::string> AnyPath() {
  return rc::gen::map(rc::gen::resize(5, rc::gen::nonEmpty(rc::gen::container<std::vector<std::string>>(AnyName()))),
                      [](const std::vector<std::string>& names) {
                        std::string path;
                        for (const auto& name : names) path += (path.empty() ? "" : "/") + name;
                        return path;
                      });
}

Manifest Arbitrary(Format format) {
  Manifest manifest{.format = format, .entries = {}};
  auto paths = *rc::gen::container<std::set<std::string>>(AnyPath());
  if (format == Format::kExtended) paths.insert("");
  for (const std::string& path : paths) {
    Entry entry{.path = path};
    entry.digest = Sha256::Of(path);
    if (format == Format::kExtended) {
      entry.kind = path.empty() ? Kind::kDirectory : *rc::gen::element(Kind::kRegular, Kind::kDirectory, Kind::kLink);
      entry.uid = *rc::gen::arbitrary<std::uint32_t>();
      entry.gid = *rc::gen::arbitrary<std::uint32_t>();
      if (entry.kind != Kind::kLink) entry.mode = *rc::gen::inRange(0U, 010000U);
      if (entry.kind == Kind::kRegular) entry.size = *rc::gen::arbitrary<std::uint64_t>();
      if (entry.kind != Kind::kRegular) entry.digest = {};
      if (entry.kind == Kind::kLink) entry.target = *AnyPath();
    }
    manifest.entries.push_back(std::move(entry));
  }
  return manifest;
}

RC_GTEST_PROP(ManifestProperty, ExtendedRoundTrips, ()) {
  const Manifest manifest = Arbitrary(Format::kExtended);
  const auto text = WriteManifest(manifest);
  RC_ASSERT(text.has_value());
  const auto again = ParseManifest(*text, "m");
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == manifest);
  for (const char c : *text) RC_ASSERT(c == '\n' || c == '\t' || static_cast<unsigned char>(c) >= ' ');
}

RC_GTEST_PROP(ManifestProperty, PlainRoundTripsOrNamesTheNewline, ()) {
  const Manifest manifest = Arbitrary(Format::kPlain);
  bool has_newline = false;
  for (const Entry& entry : manifest.entries) has_newline |= entry.path.find('\n') != std::string::npos;
  const auto text = WriteManifest(manifest);
  RC_ASSERT(text.has_value() != has_newline);
  if (has_newline) return;
  const auto again = ParseManifest(*text, "m");
  RC_ASSERT(again.has_value());
  RC_ASSERT(*again == manifest);
}

}  // namespace
}  // namespace nucleus::attest
