#include "actuators/sys/file_watch.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace nucleus::sys {
namespace {

constexpr WatchedFiles::Kinds kOne = 1, kOther = 2;

class FileWatchTest : public testing::Test {
 protected:
  FileWatchTest() {
    std::string name = "/tmp/nucleus-file-watch-XXXXXX";
    directory_ = ::mkdtemp(name.data());
  }
  ~FileWatchTest() override { std::filesystem::remove_all(directory_); }

  [[nodiscard]] std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  static void Write(const std::string& path) { std::ofstream(path) << "text"; }
  void WatchPath(const std::string& path) {
    WatchedFiles wanted;
    wanted.AddPath(path, kOne);
    ASSERT_TRUE(watch_.Want(wanted));
  }

  std::string directory_;
  FileWatch watch_ = FileWatch::Open();
};

TEST_F(FileWatchTest, TellsOfAFileThatIsWrittenReplacedRemovedOrMade) {
  Write(Path("file"));
  WatchPath(Path("file"));
  EXPECT_EQ(watch_.Heard(), 0U);
  Write(Path("file"));
  EXPECT_EQ(watch_.Heard(), kOne);
  Write(Path("beside"));
  EXPECT_EQ(watch_.Heard(), 0U);
  std::filesystem::rename(Path("beside"), Path("file"));
  EXPECT_EQ(watch_.Heard(), kOne);
  std::filesystem::remove(Path("file"));
  EXPECT_EQ(watch_.Heard(), kOne);
  Write(Path("file"));
  EXPECT_EQ(watch_.Heard(), kOne);
}

TEST_F(FileWatchTest, TellsOfALinkThatIsTurnedAndOfWhatItLeadsTo) {
  for (const auto* name : {"1", "2"}) {
    std::filesystem::create_directory(Path(name));
    Write(Path(name) + "/file");
  }
  std::filesystem::create_symlink("1", Path("current"));
  WatchPath(Path("current/file"));
  Write(Path("1/file"));
  EXPECT_EQ(watch_.Heard(), kOne);
  std::filesystem::create_symlink("2", Path("next"));
  EXPECT_EQ(watch_.Heard(), 0U);
  std::filesystem::rename(Path("next"), Path("current"));
  EXPECT_EQ(watch_.Heard(), kOne);
  WatchPath(Path("current/file"));
  Write(Path("1/file"));
  EXPECT_EQ(watch_.Heard(), 0U);
  Write(Path("2/file"));
  EXPECT_EQ(watch_.Heard(), kOne);
}

TEST_F(FileWatchTest, WaitsForDirectoriesThatAreNotThere) {
  WatchPath(Path("a/b/../b/file"));
  std::filesystem::create_directory(Path("a"));
  EXPECT_EQ(watch_.Heard(), kOne);
  WatchPath(Path("a/b/../b/file"));
  std::filesystem::create_directory(Path("a/b"));
  EXPECT_EQ(watch_.Heard(), kOne);
  WatchPath(Path("a/b/../b/file"));
  Write(Path("a/b/file"));
  EXPECT_EQ(watch_.Heard(), kOne);
}

TEST_F(FileWatchTest, ALinkThatLeadsToItselfIsNotFollowedForEver) {
  std::filesystem::create_symlink("loop", Path("loop"));
  WatchPath(Path("loop/file"));
  std::filesystem::remove(Path("loop"));
  EXPECT_EQ(watch_.Heard(), kOne);
}

TEST_F(FileWatchTest, SaysWhomItConcernsAndForgetsWhatIsNotWantedAnyMore) {
  WatchedFiles wanted;
  wanted.names[directory_]["one"] = kOne;
  wanted.selves[directory_] = kOther;
  ASSERT_TRUE(watch_.Want(wanted));
  Write(Path("one"));
  EXPECT_EQ(watch_.Heard(), kOne);
  ::chmod(directory_.c_str(), 0711);
  EXPECT_EQ(watch_.Heard(), kOther);
  ASSERT_TRUE(watch_.Want({}));
  (void)watch_.Heard();
  Write(Path("one"));
  ::chmod(directory_.c_str(), 0755);
  EXPECT_EQ(watch_.Heard(), 0U);
}

TEST_F(FileWatchTest, OfADirectoryThatGoesEverybodyIsTold) {
  std::filesystem::create_directory(Path("sub"));
  WatchedFiles wanted;
  wanted.names[Path("sub")]["one"] = kOne;
  wanted.all_names[Path("sub")] = kOther;
  ASSERT_TRUE(watch_.Want(wanted));
  std::filesystem::remove(Path("sub"));
  EXPECT_EQ(watch_.Heard(), kOne | kOther);
}

}  // namespace
}  // namespace nucleus::sys
