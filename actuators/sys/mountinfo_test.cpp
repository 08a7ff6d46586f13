#include "actuators/sys/mountinfo.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::sys {
namespace {

// The kernel's mangle(): what it escapes, as it escapes it.
std::string Mangle(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\\' || c == '#') {
      const auto byte = static_cast<unsigned char>(c);
      out += '\\';
      out += static_cast<char>('0' + (byte >> 6));
      out += static_cast<char>('0' + ((byte >> 3) & 7));
      out += static_cast<char>('0' + (byte & 7));
    } else {
      out += c;
    }
  }
  return out;
}

std::string Print(const MountEntry& m) {
  std::string line = std::to_string(m.id) + " " + std::to_string(m.parent) + " " + std::to_string(m.device_major) +
                     ":" + std::to_string(m.device_minor) + " " + Mangle(m.root) + " " + Mangle(m.mount_point) + " " +
                     m.options + " ";
  if (!m.propagation.empty()) line += m.propagation + " ";
  return line + "- " + m.fstype + " " + Mangle(m.source) + " " + m.super_options + "\n";
}

TEST(Mountinfo, ReadsTheLineOfTheManual) {
  const auto mounts =
      ParseMountinfo("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue\n");
  ASSERT_TRUE(mounts) << mounts.error().Message();
  ASSERT_EQ(mounts->size(), 1U);
  const auto& m = mounts->front();
  EXPECT_EQ(m.id, 36U);
  EXPECT_EQ(m.parent, 35U);
  EXPECT_EQ(m.device_major, 98U);
  EXPECT_EQ(m.device_minor, 0U);
  EXPECT_EQ(m.root, "/mnt1");
  EXPECT_EQ(m.mount_point, "/mnt2");
  EXPECT_EQ(m.propagation, "master:1 shared:2");
  EXPECT_EQ(m.fstype, "ext3");
  EXPECT_EQ(m.source, "/dev/root");
  EXPECT_EQ(m.super_options, "rw,errors=continue");
  EXPECT_TRUE(m.HasOption("noatime"));
  EXPECT_FALSE(m.HasOption("no"));
}

TEST(Mountinfo, UndoesEscapesAndLeavesOtherBackslashes) {
  const auto mounts = ParseMountinfo("1 0 0:1 / /a\\040b\\134c\\9 rw - tmpfs no\\012ne rw");
  ASSERT_TRUE(mounts);
  EXPECT_EQ(mounts->front().mount_point, "/a b\\c\\9");
  EXPECT_EQ(mounts->front().source, "no\nne");
}

TEST(Mountinfo, NamesTheLineThatIsBroken) {
  for (const char* broken : {"x", "1 0 0:1 / / rw", "1 0 01 / / rw - a b c", "1 0 0:1 / / rw shared:1 tmpfs none rw",
                             "-1 0 0:1 / / rw - a b c", "1 0 0:1 / / rw - a b"}) {
    const auto mounts = ParseMountinfo(std::string("1 0 0:1 / / rw - tmpfs none rw\n") + broken + "\n");
    ASSERT_FALSE(mounts) << broken;
    EXPECT_NE(mounts.error().Message().find("line 2"), std::string::npos) << mounts.error().Message();
  }
}

TEST(Mountinfo, ReadsThisProcess) {
  const auto mounts = ReadMountinfo();
  ASSERT_TRUE(mounts) << mounts.error().Message();
  bool proc = false;
  for (const auto& m : *mounts) proc |= m.mount_point == "/proc" && m.fstype == "proc";
  EXPECT_TRUE(proc);
}

TEST(Mountinfo, ReadsOneByOneAcrossPagesAndStopsWhenTold) {
  const TemporaryDirectory dir;
  std::string text;
  for (int i = 0; i < 1000; ++i)
    text += std::to_string(i) + " 0 0:1 / /" + std::string(i % 90, 'm') + " rw - tmpfs none rw\n";
  text.pop_back();  // the last line without an end
  const std::string path = dir / "mountinfo";
  ASSERT_TRUE(ReplaceFile(path, text, 0600));
  const auto all = ReadMountinfo(path);
  ASSERT_TRUE(all) << all.error().Message();
  std::vector<MountEntry> seen;
  ASSERT_TRUE(ForEachMount([&](MountEntry&& mount) { return seen.push_back(std::move(mount)), true; }, path));
  EXPECT_EQ(seen, *all);
  EXPECT_EQ(seen.size(), 1000U);

  int calls = 0;
  ASSERT_TRUE(ForEachMount([&](MountEntry&&) { return ++calls < 3; }, path));
  EXPECT_EQ(calls, 3);

  ASSERT_TRUE(ReplaceFile(path, text + "\nbroken\n", 0600));
  const auto broken = ForEachMount([](MountEntry&&) { return true; }, path);
  ASSERT_FALSE(broken);
  EXPECT_NE(broken.error().Message().find("line 1001"), std::string::npos) << broken.error().Message();
}

RC_GTEST_PROP(Mountinfo, ParseUndoesPrint, ()) {
  const auto text = rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127)));
  MountEntry entry;
  entry.id = *rc::gen::arbitrary<std::uint64_t>();
  entry.parent = *rc::gen::arbitrary<std::uint64_t>();
  entry.device_major = *rc::gen::arbitrary<std::uint32_t>();
  entry.device_minor = *rc::gen::arbitrary<std::uint32_t>();
  entry.root = "/" + *text;
  entry.mount_point = "/" + *text;
  entry.options = "rw,relatime";
  entry.propagation = *rc::gen::element<std::string>("", "shared:1", "shared:1 master:2", "unbindable");
  entry.fstype = "ext4";
  entry.source = *text;
  entry.super_options = "rw,a=b c";
  const auto parsed = ParseMountinfo(Print(entry));
  RC_ASSERT(parsed.has_value());
  RC_ASSERT(parsed->size() == 1U);
  RC_ASSERT(parsed->front() == entry);
}

}  // namespace
}  // namespace nucleus::sys
