#include "context/left_out.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <thread>

#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"
#include "context/left_out_file.hpp"

namespace nucleus::context {
namespace {

using Paths = std::vector<std::string>;

// A context, and the one file that is kept of it.
class LeftOutTest : public testing::Test {
 protected:
  void SetUp() override {
    source_ = sys::Open(from_.path(), O_PATH | O_DIRECTORY).value();
    for (const char* folder : {"a", "a/b", "c"}) Directory(folder);
    for (const char* file : {"a/.env", "a/main.c", "a/b/id_rsa", "c/app.c"}) Write(file);
    Large("c");
  }
  void Directory(const std::string& name) { ASSERT_EQ(::mkdir((from_ / name).c_str(), 0755), 0) << name; }
  void Write(const std::string& name) { ASSERT_TRUE(sys::RewriteInPlace(from_ / name, "x", 0644)) << name; }
  // So many names that it is worth keeping what was found.
  void Large(const std::string& folder) {
    for (int i = 0; i < 500; ++i) ASSERT_EQ(::symlink("x", (from_ / (folder + "/" + std::to_string(i))).c_str()), 0);
  }
  Paths Kept() {
    const auto paths = LeftOutPathsKept(source_.get(), filter_, kept_);
    EXPECT_TRUE(paths) << paths.error().Message();
    return paths.value_or(Paths());
  }
  Paths Read() { return LeftOutPaths(source_.get(), filter_).value(); }
  std::string File() const {
    for (const auto& entry : std::filesystem::directory_iterator(kept_)) return entry.path();
    return "";
  }
  Digest Key() const {
    const std::string file = File();
    return Digest::Parse(std::string_view(file).substr(file.rfind('/') + 1, 64)).value();
  }
  FolderTree Tree() const { return LoadFolders(kept_, Key()).value(); }
  // As if nothing had happened for a while: no time stamps are of just now.
  void Settle() {
    FolderTree tree = Tree();
    for (auto& [path, folder] : tree) folder.settled = true;
    ASSERT_TRUE(StoreFolders(kept_, Key(), tree));
  }
  // A name that is not there, by which what was kept is told from what was read.
  void Mark(const std::string& folder) {
    FolderTree tree = Tree();
    tree.at(folder).left_out.emplace_back("mark");
    ASSERT_TRUE(StoreFolders(kept_, Key(), tree));
  }

  sys::TemporaryDirectory from_, runtime_;
  std::string kept_ = runtime_ / "contexts";
  sys::Fd source_;
  ContextFilter filter_ = ContextFilter::Make().value();
  const Paths all_{"a/.env", "a/b/id_rsa"};
};

TEST_F(LeftOutTest, IsTheSameWithAndWithoutWhatWasKept) {
  EXPECT_EQ(Kept(), all_);
  EXPECT_EQ(Kept(), all_);
  Settle();
  EXPECT_EQ(Kept(), all_);
  EXPECT_EQ(Read(), all_);
}

TEST_F(LeftOutTest, FoldersThatDidNotChangeAreNotReadAgain) {
  Kept();
  Settle();
  for (const char* folder : {"", "a", "a/b"}) Mark(folder);
  EXPECT_EQ(Kept(), (Paths{"a/.env", "a/b/id_rsa", "a/b/mark", "a/mark", "mark"}));
}

TEST_F(LeftOutTest, AFolderThatChangedIsReadAgainAndNoOther) {
  Kept();
  Settle();
  Mark("a");
  Mark("a/b");
  Write("a/new.key");
  EXPECT_EQ(Kept(), (Paths{"a/.env", "a/b/id_rsa", "a/b/mark", "a/new.key"}));
  EXPECT_TRUE(Tree().at("a/b").settled);
}

TEST_F(LeftOutTest, WhatChangedShortlyBeforeIsReadAgain) {
  timespec soon{};
  ::clock_gettime(CLOCK_REALTIME, &soon);
  soon.tv_sec += 3600;  // however slow the machine is
  const std::array<timespec, 2> times{soon, soon};
  ASSERT_EQ(::utimensat(AT_FDCWD, (from_ / "a").c_str(), times.data(), 0), 0);
  Kept();
  EXPECT_FALSE(Tree().at("a").settled);
  Mark("a");
  EXPECT_EQ(Kept(), all_);
}

TEST_F(LeftOutTest, ATimeThatWasSetBackIsNoDisguise) {
  Kept();
  Settle();
  struct stat before{};
  ASSERT_EQ(::stat((from_ / "a").c_str(), &before), 0);
  Write("a/late.pem");
  const std::array<timespec, 2> times{before.st_atim, before.st_mtim};
  ASSERT_EQ(::utimensat(AT_FDCWD, (from_ / "a").c_str(), times.data(), 0), 0);
  EXPECT_EQ(Kept(), (Paths{"a/.env", "a/b/id_rsa", "a/late.pem"}));
}

TEST_F(LeftOutTest, FoldersThatCameWentOrChangedPlaces) {
  Kept();
  Settle();
  Directory("a/new");
  Write("a/new/.netrc");
  ASSERT_EQ(::rename((from_ / "a/b").c_str(), (from_ / "c/b").c_str()), 0);
  EXPECT_EQ(Kept(), (Paths{"a/.env", "a/new/.netrc", "c/b/id_rsa"}));
  EXPECT_FALSE(Tree().contains("a/b"));
  Settle();
  std::filesystem::remove_all(from_ / "a/new");
  Directory("other");
  ASSERT_EQ(::renameat2(AT_FDCWD, (from_ / "a").c_str(), AT_FDCWD, (from_ / "c").c_str(), RENAME_EXCHANGE), 0);
  EXPECT_EQ(Kept(), Read());
  Settle();
  std::filesystem::remove_all(from_ / "c");
  ASSERT_EQ(::symlink("a", (from_ / "c").c_str()), 0);  // a link where a folder was
  EXPECT_EQ(Kept(), Paths{"a/b/id_rsa"});
  EXPECT_EQ(Read(), Paths{"a/b/id_rsa"});
}

TEST_F(LeftOutTest, ManyFolders) {
  for (int i = 0; i < 1500; ++i) {
    const std::string name = "a/" + std::to_string(i);
    Directory(name);
    if (i % 100 == 0) Write(name + "/.env");
  }
  const Paths expected = Read();
  ASSERT_EQ(expected.size(), 17U);
  EXPECT_EQ(Kept(), expected);
  Settle();
  EXPECT_EQ(Kept(), expected);
  Write("a/77/secrets.yml");
  EXPECT_EQ(Kept().size(), 18U);
}

TEST_F(LeftOutTest, AnotherFilterHasAnotherFile) {
  Kept();
  Settle();
  Mark("a");
  filter_ = ContextFilter::Make(Paths{".env"}, {}).value();
  EXPECT_EQ(Kept(), Paths{"a/b/id_rsa"});
  filter_ = ContextFilter::Make({}, Paths{".env"}).value();
  EXPECT_EQ(Kept(), all_);
}

TEST_F(LeftOutTest, WhatIsDamagedOrOfOthersIsNotUsed) {
  Kept();
  Settle();
  Mark("a");
  const std::string file = File();
  const std::string good = sys::ReadFile(file).value();
  ASSERT_EQ(Kept().size(), 3U);  // it would be seen
  const auto again = [&](std::string_view data) {
    EXPECT_TRUE(sys::ReplaceFile(file, data, 0600));
    EXPECT_EQ(Kept(), all_);
  };
  for (const std::size_t at : {std::size_t{0}, std::size_t{30}, good.size() / 2, good.size() - 1}) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 1);
    again(bad);
    again(good.substr(0, at));
  }
  again("");
  for (const mode_t mode : {0640U, 0604U}) {
    ASSERT_TRUE(sys::ReplaceFile(file, good, mode));
    EXPECT_EQ(Kept(), all_);
  }
  ASSERT_EQ(::unlink(file.c_str()), 0);
  ASSERT_EQ(::mkfifo(file.c_str(), 0600), 0);
  EXPECT_EQ(Kept(), all_);
  ASSERT_TRUE(sys::ReplaceFile(file + "x", good, 0600));
  ASSERT_EQ(::unlink(file.c_str()), 0);
  ASSERT_EQ(::symlink((file + "x").c_str(), file.c_str()), 0);
  EXPECT_EQ(Kept(), all_);
  ASSERT_TRUE(sys::ReplaceFile(file, good, 0600));
  ASSERT_EQ(::chmod(kept_.c_str(), 0750), 0);
  EXPECT_EQ(Kept(), all_);
  EXPECT_EQ(sys::ReadFile(file).value(), good);  // nor is anything put there
  ASSERT_EQ(::chmod(kept_.c_str(), 0700), 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(kept_.c_str(), 1234, 0), 0);
    EXPECT_EQ(Kept(), all_);
  }
}

TEST_F(LeftOutTest, APlaceThatCannotBeWrittenIsNoError) {
  kept_ = runtime_ / "is/not/there";
  EXPECT_EQ(Kept(), all_);
  EXPECT_EQ(::access((runtime_ / "is").c_str(), F_OK), -1);
}

TEST_F(LeftOutTest, ASmallContextIsNotKept) {
  std::filesystem::remove_all(from_ / "c");
  EXPECT_EQ(Kept(), all_);
  EXPECT_EQ(::access(kept_.c_str(), F_OK), -1);
}

TEST_F(LeftOutTest, OnlyTheLatestFilesStay) {
  Kept();
  const FolderTree tree = Tree();
  for (unsigned i = 0; i < kMostKeptFiles + 5; ++i)
    ASSERT_TRUE(StoreFolders(kept_, Sha256::Of(std::to_string(i)), tree));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(kept_)) ++files;
  EXPECT_EQ(files, kMostKeptFiles);
  EXPECT_TRUE(LoadFolders(kept_, Sha256::Of(std::to_string(kMostKeptFiles + 4))));
}

TEST_F(LeftOutTest, WhatIsMountedIsSeenWithoutAChangeOfTimes) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  std::thread([this] {  // a mount namespace of its own
    ASSERT_EQ(::unshare(CLONE_NEWNS), 0);
    ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    const sys::Fd source = sys::Open(from_.path(), O_PATH | O_DIRECTORY).value();
    const auto kept = [&] { return LeftOutPathsKept(source.get(), filter_, kept_).value(); };
    kept();
    Settle();
    const std::string place = from_ / "a/b";
    ASSERT_EQ(::mount("tmpfs", place.c_str(), "tmpfs", 0, nullptr), 0);
    EXPECT_EQ(kept(), (Paths{"a/.env", "a/b"}));
    EXPECT_EQ(kept(), (Paths{"a/.env", "a/b"}));
    EXPECT_FALSE(Tree().at("a").settled);
    ASSERT_EQ(::umount(place.c_str()), 0);
    EXPECT_EQ(kept(), all_);
  })
      .join();
}

TEST(LeftOutFile, NamesThatLeadElsewhereAreRefused) {
  const Digest key = Sha256::Of("key");
  const auto decoded = [&](const FolderTree& tree) { return DecodeFolders(key, EncodeFolders(key, tree)); };
  const Folder plain{.stamp = {1, 2, 3, 4}, .settled = true, .left_out = {".env"}, .folders = {"a"}};
  EXPECT_EQ(decoded({{"", plain}, {"a", {}}}), (FolderTree{{"", plain}, {"a", {}}}));
  for (const char* name : {"", ".", "..", "a/b", "/"}) {
    Folder bad = plain;
    bad.left_out.emplace_back(name);
    EXPECT_FALSE(decoded({{"", bad}})) << name;
    bad = plain;
    bad.folders.emplace_back(name);
    EXPECT_FALSE(decoded({{"", bad}})) << name;
  }
  for (const char* path : {"/", "a/", "/a", "a//b", "a/../b"}) EXPECT_FALSE(decoded({{"", plain}, {path, {}}})) << path;
  EXPECT_FALSE(decoded({{"a", plain}}));
  EXPECT_FALSE(DecodeFolders(Sha256::Of("other"), EncodeFolders(key, {{"", plain}})));
}

}  // namespace
}  // namespace nucleus::context
