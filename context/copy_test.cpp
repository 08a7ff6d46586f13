#include "context/copy.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <thread>

#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/testing.hpp"
#include "context/left_out.hpp"

namespace nucleus::context {
namespace {

class ContextTest : public testing::Test {
 protected:
  void SetUp() override {
    source_ = sys::Open(from_.path(), O_PATH | O_DIRECTORY).value();
    destination_ = sys::Open(to_.path(), O_PATH | O_DIRECTORY).value();
  }
  void Write(const std::string& name, std::string_view data, mode_t mode = 0644) {
    const auto written = sys::RewriteInPlace(from_ / name, data, mode);
    ASSERT_TRUE(written) << written.error().Message();
  }
  void Directory(const std::string& name, mode_t mode = 0755) {
    ASSERT_EQ(::mkdir((from_ / name).c_str(), 0700), 0) << name;
    ASSERT_EQ(::chmod((from_ / name).c_str(), mode), 0);
  }
  void Link(const char* target, const std::string& name) { ASSERT_EQ(::symlink(target, (from_ / name).c_str()), 0); }

  Result<CopyReport> Copy(unsigned threads = 0) {
    return CopyContext(source_.get(), destination_.get(), filter_, {::geteuid(), ::getegid()}, {.threads = threads});
  }
  CopyReport Copied() {
    const auto report = Copy();
    EXPECT_TRUE(report) << report.error().Message();
    return report.value_or(CopyReport{});
  }
  std::string Content(const std::string& name) { return sys::ReadFile(to_ / name).value_or("none"); }
  struct stat Stat(const std::string& path) {
    struct stat st{};
    EXPECT_EQ(::lstat(path.c_str(), &st), 0) << path;
    return st;
  }
  bool IsThere(const std::string& name) {
    struct stat st{};
    return ::lstat((to_ / name).c_str(), &st) == 0;
  }
  Digest Hash(const sys::Fd& root, unsigned threads = 0) {
    const auto digest = HashContext(root.get(), filter_, {.threads = threads});
    EXPECT_TRUE(digest) << digest.error().Message();
    return digest.value_or(Digest{});
  }
  std::vector<std::string> Hidden() { return LeftOutPaths(source_.get(), filter_).value(); }

  sys::TemporaryDirectory from_, to_;
  sys::Fd source_, destination_;
  ContextFilter filter_ = ContextFilter::Make().value();
};

TEST_F(ContextTest, CopiesFilesFoldersLinksModesAndTimes) {
  Directory("src");
  Directory("src/closed");
  Write("src/closed/empty", "");
  ASSERT_EQ(::chmod((from_ / "src/closed").c_str(), 0500), 0);
  Write("src/main.c", "int main;", 0640);
  Write("run.sh", "#!/bin/sh", 0755);
  Write("big", std::string(3'000'000, 'b') + "end");
  Link("src/main.c", "main");
  Link("../run.sh", "src/up");
  ASSERT_EQ(::chmod((from_ / "run.sh").c_str(), 06755), 0);
  const std::array<timespec, 2> times{timespec{1'000'000, 5}, timespec{2'000'000, 7}};
  for (const char* name : {"src/main.c", "src", "main"}) {
    ASSERT_EQ(::utimensat(AT_FDCWD, (from_ / name).c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0);
  }
  const CopyReport report = Copied();
  EXPECT_EQ(report.files, 4U);
  EXPECT_EQ(report.directories, 2U);
  EXPECT_EQ(report.links, 2U);
  EXPECT_EQ(report.bytes, 3'000'021U);
  EXPECT_EQ(Content("src/main.c"), "int main;");
  EXPECT_EQ(Content("big"), std::string(3'000'000, 'b') + "end");
  EXPECT_EQ(Stat(to_ / "src/main.c").st_mode, S_IFREG | 0640U);
  EXPECT_EQ(Stat(to_ / "run.sh").st_mode, S_IFREG | 0755U);  // no set-user-ID
  EXPECT_EQ(Stat(to_ / "src/closed").st_mode, S_IFDIR | 0500U);
  for (const char* name : {"src/main.c", "src", "main"}) {
    EXPECT_EQ(Stat(to_ / name).st_mtim.tv_sec, 2'000'000) << name;
    EXPECT_EQ(Stat(to_ / name).st_mtim.tv_nsec, 7) << name;
  }
  EXPECT_EQ(Hash(source_), Hash(destination_));
  for (const auto* tree : {&from_, &to_}) ::chmod((*tree / "src/closed").c_str(), 0700);  // to be removed
}

TEST_F(ContextTest, GivesAllToTheOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Directory("d");
  Write("d/f", "x");
  Link("f", "d/l");
  ASSERT_TRUE(CopyContext(source_.get(), destination_.get(), filter_, {1234, 4321}));
  for (const char* name : {"", "d", "d/f", "d/l"}) {
    EXPECT_EQ(Stat(to_ / name).st_uid, 1234U) << name;
    EXPECT_EQ(Stat(to_ / name).st_gid, 4321U) << name;
  }
}

TEST_F(ContextTest, LeavesOutInBothModes) {
  Directory(".git");
  Write(".git/config", "x");
  Directory("app");
  Write("app/.env", "PASSWORD=1");
  Write("app/app.py", "x");
  Directory("app/.ssh");
  Write("app/.ssh/id_rsa", "x");
  Link("app.py", "app/link.pem");  // a link is left out of the copy; its target is what counts in a bind
  ASSERT_EQ(::mkfifo((from_ / "app/pipe").c_str(), 0600), 0);
  const CopyReport report = Copied();
  EXPECT_EQ(report.files, 1U);
  EXPECT_EQ(report.left_out, 4U);
  EXPECT_EQ(report.special, 1U);
  EXPECT_TRUE(IsThere("app/app.py"));
  for (const char* name : {".git", "app/.env", "app/.ssh", "app/link.pem", "app/pipe"}) EXPECT_FALSE(IsThere(name));
  EXPECT_EQ(Hidden(), (std::vector<std::string>{".git", "app/.env", "app/.ssh", "app/pipe"}));
  EXPECT_EQ(Hash(source_), Hash(destination_));
}

TEST(Context, LinksLeadOut) {
  EXPECT_TRUE(LeadsOut("a", "/etc/passwd"));
  EXPECT_TRUE(LeadsOut("a", ".."));
  EXPECT_TRUE(LeadsOut("a", "../x"));
  EXPECT_TRUE(LeadsOut("d/a", "../../x"));
  EXPECT_TRUE(LeadsOut("d/e/a", "x/../y"));  // x may be a link itself
  EXPECT_TRUE(LeadsOut("d/a", ".././../x"));
  EXPECT_FALSE(LeadsOut("a", "b"));
  EXPECT_FALSE(LeadsOut("a", "."));
  EXPECT_FALSE(LeadsOut("a", "a"));
  EXPECT_FALSE(LeadsOut("d/a", "../x"));
  EXPECT_FALSE(LeadsOut("d/e/a", "..//./../x/y"));
  EXPECT_FALSE(LeadsOut("a", "..x/..."));
}

TEST_F(ContextTest, LinksThatLeadOutAreCountedAndNotCopied) {
  Directory("d");
  Write("d/f", "x");
  Link("/etc/passwd", "absolute");
  Link("../../etc/passwd", "d/out");
  Link("self", "self");
  Link("..", "d/loop");
  Link("nowhere", "dangling");
  const CopyReport report = Copied();
  EXPECT_EQ(report.links_out, 2U);
  EXPECT_EQ(report.links, 3U);
  EXPECT_FALSE(IsThere("absolute"));
  EXPECT_FALSE(IsThere("d/out"));
  EXPECT_EQ(Hash(source_), Hash(destination_));
  EXPECT_TRUE(Hidden().empty());
}

TEST_F(ContextTest, DevicesAndSocketsAreLeftOut) {
  if (::geteuid() != 0 || ::mknod((from_ / "zero").c_str(), S_IFCHR | 0666, makedev(1, 5)) != 0) {
    GTEST_SKIP() << "needs CAP_MKNOD";
  }
  Write("f", "x");
  EXPECT_EQ(Copied().special, 1U);
  EXPECT_EQ(Hidden(), std::vector<std::string>{"zero"});
}

TEST_F(ContextTest, SparseFilesStaySparse) {
  Write("sparse", "begin");
  const std::string path = from_ / "sparse";
  {
    const sys::Fd fd = sys::Open(path, O_WRONLY).value();
    ASSERT_EQ(::ftruncate(fd.get(), 1 << 30), 0);
    ASSERT_EQ(::pwrite(fd.get(), "middle", 6, 500 << 20), 6);
  }
  EXPECT_LT(Copied().bytes, 1U << 20);
  const struct stat st = Stat(to_ / "sparse");
  EXPECT_EQ(st.st_size, 1 << 30);
  EXPECT_LT(st.st_blocks, 1024);
  const sys::Fd fd = sys::Open(to_ / "sparse", O_RDONLY).value();
  std::string read(6, '\0');
  ASSERT_EQ(::pread(fd.get(), read.data(), 6, 500 << 20), 6);
  EXPECT_EQ(read, "middle");
}

TEST_F(ContextTest, TheHashSeesEachChange) {
  Directory("d");
  Write("d/f", "x");
  Link("f", "d/l");
  const Digest before = Hash(source_);
  EXPECT_EQ(Hash(source_, 1), before);
  EXPECT_EQ(Hash(source_, 5), before);
  std::vector<Digest> seen{before};
  const auto changed = [&](const char* what) {
    const Digest now = Hash(source_);
    EXPECT_EQ(std::ranges::count(seen, now), 0) << what;
    seen.push_back(now);
  };
  Write("d/f", "y");
  changed("content");
  ASSERT_EQ(::chmod((from_ / "d/f").c_str(), 0600), 0);
  changed("mode");
  ASSERT_EQ(::chmod((from_ / "d").c_str(), 0700), 0);
  changed("mode of a folder");
  ASSERT_EQ(::rename((from_ / "d/f").c_str(), (from_ / "d/g").c_str()), 0);
  changed("name");
  ASSERT_EQ(::unlink((from_ / "d/l").c_str()), 0);
  changed("missing");
  Link("g", "d/l");
  changed("target");
  Directory("e");
  changed("extra");
  Write("d/.env", "left out");
  EXPECT_EQ(Hash(source_), seen.back());
}

TEST_F(ContextTest, TheHashIsAsDocumented) {
  Directory("d", 01755);
  Write("d/f", "content", 0640);
  Link("f", "d/l");
  const Digest content = Sha256::Of("content");
  Sha256 hash;
  hash.AddField("d").AddField("d").AddField("1755").AddField("");
  hash.AddField("d/f").AddField("f").AddField("0640").AddField(
      {reinterpret_cast<const char*>(content.bytes.data()), content.bytes.size()});
  hash.AddField("d/l").AddField("l").AddField("").AddField("f");
  EXPECT_EQ(Hash(source_), hash.Finish());
}

TEST_F(ContextTest, ManyFilesInOneFolder) {
  Directory("d");
  for (int i = 0; i < 1500; ++i) Write("d/f" + std::to_string(i), std::to_string(i));
  const auto report = Copy(4);
  ASSERT_TRUE(report) << report.error().Message();
  EXPECT_EQ(report->files, 1500U);
  EXPECT_EQ(Content("d/f1432"), "1432");
  EXPECT_EQ(Hash(source_, 3), Hash(destination_));
}

TEST_F(ContextTest, OddHugeAndVeryDeepNames) {
  Write("new\nline\t\xff", "x");
  Write(std::string(255, 'n'), "x");
  sys::Fd at = sys::Open(from_.path(), O_PATH | O_DIRECTORY).value();
  for (int i = 0; i < 5000; ++i) {  // 10 KB of path, far deeper than there are descriptors
    ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0);
    at.reset(::openat(at.get(), "d", O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  ASSERT_GE(sys::Fd(::openat(at.get(), "deep", O_WRONLY | O_CREAT | O_CLOEXEC, 0600)).get(), 0);
  ASSERT_EQ(::mkfifoat(at.get(), "pipe", 0600), 0);
  const CopyReport report = Copied();
  EXPECT_EQ(report.files, 3U);
  EXPECT_EQ(report.directories, 5000U);
  EXPECT_EQ(report.special, 1U);
  EXPECT_EQ(Hash(source_), Hash(destination_));
  ASSERT_EQ(Hidden().size(), 1U);
  EXPECT_EQ(Hidden()[0].size(), 10'004U);
}

TEST_F(ContextTest, AWriteThatFailsNamesTheFile) {
  Write("big", std::string(1 << 20, 'b'));
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  // Beyond its size limit a write gives EFBIG: as good as a full disk.
  ASSERT_NE(::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  const rlimit small{4096, old.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto report = Copy();
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().Message().find(" big: "), std::string::npos) << report.error().Message();
}

TEST_F(ContextTest, AnInterruptEndsIt) {
  Write("f", "x");
  const std::atomic<bool> stop = true;
  const auto report = CopyContext(source_.get(), destination_.get(), filter_, {}, {.stop = &stop});
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().code, ErrorCode::kInterrupted);
}

// Files and folders turn into links to outside and back while they are copied and hashed.
TEST_F(ContextTest, AFlippingSourceNeverLeadsOutside) {
  const sys::TemporaryDirectory outside;
  ASSERT_EQ(::mkdir((outside / "folder").c_str(), 0755), 0);
  ASSERT_TRUE(sys::ReplaceFile(outside / "folder/file", "SECRET", 0644));
  ASSERT_TRUE(sys::ReplaceFile(outside / "file", "SECRET", 0644));
  Directory("folder");
  Write("folder/file", "public");
  Write("file", "public");
  const sys::TemporaryDirectory links;
  ASSERT_EQ(::symlink((outside / "folder").c_str(), (links / "folder").c_str()), 0);
  ASSERT_EQ(::symlink((outside / "file").c_str(), (links / "file").c_str()), 0);
  std::atomic<bool> done = false;
  const std::jthread flipper([&] {
    while (!done) {
      for (const char* name : {"folder", "file"}) {
        ::renameat2(AT_FDCWD, (from_ / name).c_str(), AT_FDCWD, (links / name).c_str(), RENAME_EXCHANGE);
      }
    }
  });
  std::uint64_t copied = 0, refused = 0;
  for (int i = 0; i < 500; ++i) {
    const sys::TemporaryDirectory to;
    const sys::Fd destination = sys::Open(to.path(), O_PATH | O_DIRECTORY).value();
    const auto report =
        CopyContext(source_.get(), destination.get(), filter_, {::geteuid(), ::getegid()}, {.threads = 2});
    ASSERT_TRUE(report) << report.error().Message();
    copied += report->files;
    refused += report->links_out + report->changed;
    for (const char* name : {"file", "folder/file"}) {
      const auto content = sys::ReadFileIfThere(to / name);
      ASSERT_TRUE(content) << content.error().Message();
      if (*content) {
        EXPECT_EQ(**content, "public");
      }
    }
    const auto digest = HashContext(source_.get(), filter_);
    EXPECT_TRUE(digest || digest.error().code == ErrorCode::kConflict) << digest.error().Message();
  }
  done = true;
  RecordProperty("copied", static_cast<int>(copied));
  RecordProperty("refused", static_cast<int>(refused));
}

}  // namespace
}  // namespace nucleus::context
