#include "attest/verify.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <thread>

#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/testing.hpp"
#include "attest/seal.hpp"

namespace nucleus::attest {
namespace {

class VerifyTest : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"etc", "usr", "usr/bin", "var"}) ASSERT_EQ(::mkdir((dir_ / name).c_str(), 0755), 0);
    Write("etc/passwd", "root:x:0:0\n");
    Write("usr/bin/tool", std::string(300'000, 'x'));
    Write("usr/bin/empty", "");
    Link("tool", "usr/bin/alias");
    Link("..", "var/up");  // cycles
    Link("self", "var/self");
    Link("/proc/self/root", "var/root");
    root_ = sys::Open(dir_.path(), O_PATH | O_DIRECTORY).value();
  }
  void Write(const std::string& name, std::string_view data, mode_t mode = 0644) {
    ASSERT_TRUE(sys::RewriteInPlace(dir_ / name, data, mode));
  }
  void Link(const char* target, const std::string& name) { ASSERT_EQ(::symlink(target, (dir_ / name).c_str()), 0); }
  void Unlink(const std::string& name) { ASSERT_EQ(::unlink((dir_ / name).c_str()), 0); }
  void Sealed(Format format = Format::kExtended) {
    const auto sealed = Seal(root_.get(), "root", format);
    ASSERT_TRUE(sealed) << sealed.error().Message();
  }
  // "" for what is as sealed. The same with any number of threads.
  std::string Said() {
    std::string said;
    for (const unsigned threads : {1U, 2U, 5U}) {
      const auto verdict = Verify(root_.get(), "root", {.threads = threads});
      std::string now = !verdict              ? verdict.error().Message()
                        : verdict->difference ? AsError(*verdict->difference, "root").Message()
                                              : "";
      if (threads > 1) {
        EXPECT_EQ(now, said);
      }
      said = std::move(now);
    }
    return said;
  }

  sys::TemporaryDirectory dir_;
  sys::Fd root_;
};

TEST_F(VerifyTest, AsSealed) {
  for (const Format format : {Format::kPlain, Format::kExtended}) {
    Sealed(format);
    const auto verdict = Verify(root_.get(), "root");
    ASSERT_TRUE(verdict) << verdict.error().Message();
    EXPECT_FALSE(verdict->difference);
    EXPECT_EQ(verdict->format, format);
    EXPECT_EQ(verdict->files, 3U);
    EXPECT_EQ(verdict->bytes, 300'011U);
    EXPECT_EQ(verdict->manifest, Sha256::Of(sys::ReadFile(dir_ / kManifestName).value()));
  }
}

TEST_F(VerifyTest, NotSealed) {
  const auto verdict = Verify(root_.get(), "root");
  ASSERT_FALSE(verdict);
  EXPECT_EQ(verdict.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(verdict.error().hint.empty());
}

TEST_F(VerifyTest, AManifestThatIsNoFileIsNotFollowedAndDoesNotHold) {
  Link("/etc/passwd", std::string(kManifestName));
  EXPECT_EQ(Said(), "root/.nucleus-rootfs-sha256: it is a symbolic link, not a regular file");
  Unlink(std::string(kManifestName));
  ASSERT_EQ(::mkfifo((dir_ / kManifestName).c_str(), 0644), 0);
  EXPECT_EQ(Said(), "root/.nucleus-rootfs-sha256: it is a FIFO, socket or device, not a regular file");
}

TEST_F(VerifyTest, AManifestThatDoesNotReadIsNamedWithItsLine) {
  Write(std::string(kManifestName), "nonsense\n");
  EXPECT_TRUE(Said().starts_with("root/.nucleus-rootfs-sha256:1: ")) << Said();
}

TEST_F(VerifyTest, AChangedByte) {
  for (const Format format : {Format::kPlain, Format::kExtended}) {
    Write("etc/passwd", "root:x:0:0\n");
    Sealed(format);
    Write("etc/passwd", "root::0:0:\n");
    EXPECT_EQ(Said(), "verify root/etc/passwd: its content is not the sealed one");
  }
}

TEST_F(VerifyTest, AChangedModeAndSize) {
  Sealed();
  ASSERT_EQ(::chmod((dir_ / "usr/bin/tool").c_str(), 04755), 0);
  EXPECT_EQ(Said(), "verify root/usr/bin/tool: its mode is 4755, sealed 0644");
  ASSERT_EQ(::chmod((dir_ / "usr").c_str(), 0777), 0);
  EXPECT_EQ(Said(), "verify root/usr: its mode is 0777, sealed 0755");
  Write("etc/passwd", "");
  EXPECT_EQ(Said(), "verify root/etc/passwd: its size is 0, sealed 11");
  ASSERT_EQ(::chmod(dir_.path().c_str(), 0711), 0);
  EXPECT_EQ(Said(), "verify root: its mode is 0711, sealed 0700");
}

TEST_F(VerifyTest, AChangedOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Sealed();
  ASSERT_EQ(::lchown((dir_ / "usr/bin/alias").c_str(), 1000, 1001), 0);
  EXPECT_EQ(Said(), "verify root/usr/bin/alias: its owner is 1000:1001, sealed 0:0");
}

TEST_F(VerifyTest, Missing) {
  for (const Format format : {Format::kPlain, Format::kExtended}) {
    Write("usr/bin/empty", "");
    Sealed(format);
    Unlink("usr/bin/empty");
    EXPECT_EQ(Said(), "verify root/usr/bin/empty: missing: sealed as a regular file");
  }
}

TEST_F(VerifyTest, Extra) {
  for (const Format format : {Format::kPlain, Format::kExtended}) {
    Sealed(format);
    Write("usr/bin/extra", "x");
    EXPECT_EQ(Said(), "verify root/usr/bin/extra: extra, not sealed: a regular file");
    Unlink("usr/bin/extra");
  }
  Sealed();
  ASSERT_EQ(::mkdir((dir_ / "usr/bin/d").c_str(), 0755), 0);
  Write("usr/bin/d/f", "x");
  EXPECT_EQ(Said(), "verify root/usr/bin/d: extra, not sealed: a directory");
  Sealed(Format::kPlain);
  Write("usr/bin/d/g", "x");
  EXPECT_EQ(Said(), "verify root/usr/bin/d/g: extra, not sealed: a regular file");
}

TEST_F(VerifyTest, ALinkThatLeadsElsewhereOrStandsForAFile) {
  Sealed();
  Unlink("usr/bin/alias");
  Link("/etc/shadow", "usr/bin/alias");
  EXPECT_EQ(Said(), "verify root/usr/bin/alias: it leads to /etc/shadow, sealed tool");
  for (const Format format : {Format::kPlain, Format::kExtended}) {
    Sealed(format);
    const std::string kept = dir_ / "kept";
    ASSERT_EQ(::rename((dir_ / "etc/passwd").c_str(), kept.c_str()), 0);
    Link("../kept", "etc/passwd");
    EXPECT_EQ(Said(), "verify root/etc/passwd: it is a symbolic link, sealed as a regular file");
    Unlink("etc/passwd");
    ASSERT_EQ(::rename(kept.c_str(), (dir_ / "etc/passwd").c_str()), 0);
  }
}

TEST_F(VerifyTest, ADirectoryThatBecameALinkIsNotEntered) {
  Sealed(Format::kPlain);
  ASSERT_EQ(::rename((dir_ / "usr/bin").c_str(), (dir_ / "var/bin").c_str()), 0);
  Link("../var/bin", "usr/bin");
  EXPECT_EQ(Said(), "verify root/usr/bin/empty: missing: sealed as a regular file");
}

TEST_F(VerifyTest, FifosHoldNobodyUp) {
  Sealed();
  ASSERT_EQ(::mkfifo((dir_ / "var/pipe").c_str(), 0644), 0);
  EXPECT_EQ(Said(), "verify root/var/pipe: extra, not sealed: a FIFO, socket or device");
  Unlink("var/pipe");
  Unlink("etc/passwd");
  ASSERT_EQ(::mkfifo((dir_ / "etc/passwd").c_str(), 0644), 0);
  EXPECT_EQ(Said(), "verify root/etc/passwd: it is a FIFO, socket or device, sealed as a regular file");
  Sealed(Format::kPlain);  // which says nothing of special files
  EXPECT_EQ(Said(), "");
}

TEST_F(VerifyTest, SpecialFilesAreComparedWithWhatTheyWere) {
  ASSERT_EQ(::mkfifo((dir_ / "var/pipe").c_str(), 0644), 0);
  Sealed();
  EXPECT_EQ(Said(), "");
  ASSERT_EQ(::chmod((dir_ / "var/pipe").c_str(), 0666), 0);
  EXPECT_EQ(Said(), "verify root/var/pipe: its mode is 0666, sealed 0644");
  Unlink("var/pipe");
  EXPECT_EQ(Said(), "verify root/var/pipe: missing: sealed as a FIFO, socket or device");
  ASSERT_EQ(::mknod((dir_ / "var/pipe").c_str(), S_IFSOCK | 0644, 0), 0);
  ASSERT_EQ(::chmod((dir_ / "var/pipe").c_str(), 0644), 0);
  EXPECT_EQ(Said(), "verify root/var/pipe: it is s, sealed p");
}

TEST_F(VerifyTest, TheFirstOfManyIsNamedInTheOrderOfPaths) {
  for (int i = 0; i < 2000; ++i) Write("usr/bin/f" + std::to_string(i), std::to_string(i));
  Sealed();
  for (int i = 100; i < 2000; i += 7) Write("usr/bin/f" + std::to_string(i), "changed" + std::to_string(i));
  EXPECT_EQ(Said(), "verify root/usr/bin/f100: its size is 10, sealed 3");
  Unlink("usr/bin/f0");
  EXPECT_EQ(Said(), "verify root/usr/bin/f0: missing: sealed as a regular file");
  Write("usr/bin-a", "before usr/bin/..., since - is less than /");
  EXPECT_EQ(Said(), "verify root/usr/bin-a: extra, not sealed: a regular file");
}

TEST_F(VerifyTest, OddAndDeepNames) {
  Write("a\nb\t\\\xff\xc3", "x");
  Write(std::string(255, 'n'), "x");
  sys::Fd at = sys::Open(dir_.path(), O_PATH | O_DIRECTORY).value();
  const std::string name(200, 'd');
  for (int i = 0; i < 50; ++i) {  // 10 KB of path
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at.reset(::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  const sys::Fd file(::openat(at.get(), "deep", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  Sealed();
  EXPECT_EQ(Said(), "");
  ASSERT_TRUE(sys::WriteAll(file.get(), "x", "deep"));
  EXPECT_NE(Said().find("/deep: its size is 1, sealed 0"), std::string::npos);
  for (int i = 0; i < 40; ++i) {  // beyond what is walked
    ASSERT_EQ(::mkdirat(at.get(), name.c_str(), 0755), 0);
    at.reset(::openat(at.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  const auto sealed = Seal(root_.get(), "root", Format::kExtended);
  ASSERT_FALSE(sealed);
  EXPECT_NE(sealed.error().Message().find("nested deeper"), std::string::npos) << sealed.error().Message();
}

// A file and a directory turn into links to outside and back: what is outside is never read, whatever is said.
TEST_F(VerifyTest, AFlipDuringVerificationNeverLeadsOutside) {
  const sys::TemporaryDirectory outside;
  ASSERT_TRUE(sys::ReplaceFile(outside / "passwd", "root:x:0:0\n", 0644));  // would be accepted
  ASSERT_EQ(::mkdir((outside / "bin").c_str(), 0755), 0);
  ASSERT_TRUE(sys::ReplaceFile(outside / "bin/extra", "x", 0644));  // would be named
  Sealed();
  Link((outside / "passwd").c_str(), "link1");
  Link((outside / "bin").c_str(), "link2");
  ASSERT_EQ(::rename((dir_ / "link1").c_str(), (outside / "link1").c_str()), 0);
  ASSERT_EQ(::rename((dir_ / "link2").c_str(), (outside / "link2").c_str()), 0);
  std::atomic<bool> done = false;
  const std::jthread flipper([&] {
    const auto flip = [&](const char* inside, const char* link) {
      ::renameat2(AT_FDCWD, (dir_ / inside).c_str(), AT_FDCWD, (outside / link).c_str(), RENAME_EXCHANGE);
    };
    while (!done) {
      flip("etc/passwd", "link1");
      flip("usr/bin", "link2");
    }
  });
  int as_sealed = 0;
  for (int i = 0; i < 500; ++i) {
    const auto verdict = Verify(root_.get(), "root", {.threads = 2});
    if (!verdict) {
      ADD_FAILURE() << verdict.error().Message();
    } else if (!verdict->difference) {
      ++as_sealed;
      EXPECT_EQ(verdict->files, 3U);
    } else {
      EXPECT_EQ(verdict->difference->path.find("extra"), std::string::npos);
    }
  }
  done = true;
  RecordProperty("as_sealed", as_sealed);
}

TEST_F(VerifyTest, AWriterDuringVerificationIsNoticedOrNot_ButNothingHangs) {
  Sealed();
  std::atomic<bool> done = false;
  const std::jthread writer([&] {
    for (int i = 0; !done; ++i)
      (void)sys::RewriteInPlace(dir_ / "usr/bin/tool", std::string(300'000, i % 2 == 0 ? 'x' : 'y'), 0644);
  });
  for (int i = 0; i < 200; ++i) {
    const auto verdict = Verify(root_.get(), "root");
    ASSERT_TRUE(verdict) << verdict.error().Message();
    if (verdict->difference) {
      EXPECT_EQ(verdict->difference->path, "usr/bin/tool");
    }
  }
  done = true;
}

// Each after the last file was read, and at once: within the tick in which files of before may have been written.
TEST_F(VerifyTest, AChangeAfterAFileWasReadIsSeenByTheNextLook) {
  const auto rewrite = [&](const std::string& name, std::string_view data) {
    const sys::Fd file = sys::Open(dir_ / name, O_WRONLY).value();
    ASSERT_EQ(::pwrite(file.get(), data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
  };
  const auto with_its_times = [&](const std::string& name, std::string_view data) {
    struct stat st{};
    ASSERT_EQ(::stat((dir_ / name).c_str(), &st), 0);
    rewrite(name, data);
    const timespec times[] = {st.st_atim, st.st_mtim};
    ASSERT_EQ(::utimensat(AT_FDCWD, (dir_ / name).c_str(), times, 0), 0);
  };
  const std::string there = "etc/passwd", flips = "changed while it was verified";
  struct Case {
    std::function<void()> change;
    std::string path, detail;
  };
  const Case kCases[] = {
      {[&] { rewrite(there, "evil:x:0:0\n"); }, there, flips},
      {[&] { with_its_times(there, "evil:x:0:0\n"); }, there, flips},
      {[&] { rewrite(there, "root:x:0:0\n"); }, there, flips},  // and back, perhaps
      {[&] { ASSERT_TRUE(sys::ReplaceFile(dir_ / there, "evil:x:0:0\n", 0644)); }, there, flips},
      {[&] { ASSERT_EQ(::chmod((dir_ / there).c_str(), 0644), 0); }, there, flips},
      {[&] { Unlink(there); }, there, "a regular file"},
      {[&] { Write("etc/more", ""); }, "etc/more", "a regular file"},
  };
  for (const Format format : {Format::kPlain, Format::kExtended}) {
    for (const auto& [change, path, detail] : kCases) {
      Unlink(there);
      Write(there, "root:x:0:0\n");
      ::unlink((dir_ / "etc/more").c_str());
      Sealed(format);
      const auto verdict = Verify(root_.get(), "root");
      ASSERT_TRUE(verdict) << verdict.error().Message();
      ASSERT_FALSE(verdict->difference) << verdict->difference->path << verdict->difference->detail;
      EXPECT_EQ(LookAgain(root_.get(), "root", *verdict).value(), std::nullopt);
      change();
      const auto again = LookAgain(root_.get(), "root", *verdict);
      ASSERT_TRUE(again) << again.error().Message();
      ASSERT_TRUE(*again) << path;
      EXPECT_EQ((*again)->path, path);
      EXPECT_NE((*again)->detail.find(detail), std::string::npos) << (*again)->detail;
      Write(there, "");
    }
  }
}

TEST_F(VerifyTest, WhatIsNoFileIsLookedAtAgainToo) {
  Sealed();
  const auto verdict = Verify(root_.get(), "root");
  ASSERT_TRUE(verdict && verdict->looked);
  const auto said = [&] {
    const auto again = LookAgain(root_.get(), "root", *verdict).value();
    return again ? AsError(*again, "root").Message() : "";
  };
  Unlink("usr/bin/alias");
  Link("empty", "usr/bin/alias");
  EXPECT_EQ(said(), "verify root/usr/bin/alias: it leads to empty, sealed tool");
  ASSERT_EQ(::chmod((dir_ / "usr").c_str(), 0777), 0);
  EXPECT_EQ(said(), "verify root/usr: its mode is 0777, sealed 0755");
}

// In a process of its own: it unshares.
TEST_F(VerifyTest, MountsInsideAreADifferenceAndADetachedCloneHasNone) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Sealed();
  const pid_t child = ::fork();
  if (child == 0) {
    const auto check = [](bool good, int code) {
      if (!good) ::_exit(code);
    };
    if (::unshare(CLONE_NEWNS) != 0) ::_exit(77);
    check(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, 2);
    check(::mount("tmpfs", (dir_ / "usr").c_str(), "tmpfs", 0, nullptr) == 0, 3);
    root_ = sys::Open(dir_.path(), O_PATH | O_DIRECTORY).value();  // of this namespace
    const auto verdict = Verify(root_.get(), "root");
    check(verdict && verdict->difference &&
              *verdict->difference == Difference{Difference::Kind::kChanged, "usr", "something is mounted on it"},
          4);
    check(!Seal(root_.get(), "root", Format::kExtended), 5);
    const sys::Fd clone(sys::OpenTree(AT_FDCWD, dir_.path().c_str(), sys::kOpenTreeClone | sys::kOpenTreeCloexec));
    check(static_cast<bool>(clone), 6);
    check(sys::MountSetattr(clone.get(), 0, {.set = sys::kAttrReadOnly | sys::kAttrNoDev}) == 0, 7);
    const auto through = Verify(clone.get(), "root");
    check(through && !through->difference && through->files == 3, 8);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "needs CAP_SYS_ADMIN";
  EXPECT_EQ(status, 0) << WEXITSTATUS(status);
}

// What a child says in a user namespace with that map, of users and of groups.
int InNamespace(const std::string& uids, const std::string& gids, const std::function<int()>& say) {
  std::array<int, 2> come{}, go{};
  EXPECT_TRUE(::pipe(come.data()) == 0 && ::pipe(go.data()) == 0);
  const pid_t child = ::fork();
  char byte = 0;
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER) != 0) ::_exit(77);
    if (::write(come[1], "", 1) != 1 || ::read(go[0], &byte, 1) != 1) ::_exit(76);
    ::_exit(say());
  }
  ::close(come[1]);
  if (::read(come[0], &byte, 1) == 1) {
    const std::string proc = "/proc/" + std::to_string(child);
    EXPECT_TRUE(sys::WriteKernelFile(proc + "/uid_map", uids) && sys::WriteKernelFile(proc + "/gid_map", gids));
    EXPECT_EQ(::write(go[1], "", 1), 1);
  }
  for (const int fd : {come[0], go[0], go[1]}) ::close(fd);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return WEXITSTATUS(status);
}

TEST_F(VerifyTest, WhoHasNoNumberInANamespaceIsNotWhoeverHasTheOneThatIsShownForThem) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  const std::string all = "0 100000 65536", few = "0 100000 1000";
  const std::string there = dir_ / "etc/passwd";
  const auto owned = [&](uid_t uid, gid_t gid) { ASSERT_EQ(::chown(there.c_str(), uid, gid), 0); };
  const auto differs = [&](const std::string& uids, const std::string& gids) {
    return InNamespace(uids, gids, [&] {
      const auto verdict = Verify(root_.get(), "root", {.threads = 1});
      if (!verdict) return 3;
      return !verdict->difference ? 0 : verdict->difference->path == "etc/passwd" ? 1 : 2;
    });
  };
  for (const char* name : {"", "etc", "usr", "usr/bin", "var", "usr/bin/tool", "usr/bin/empty", "usr/bin/alias",
                           "var/up", "var/self", "var/root"})
    ASSERT_EQ(::lchown((dir_ / name).c_str(), 100000, 100000), 0) << name;
  owned(7, 7);
  Sealed();
  const int before = differs(few, few);
  if (before == 77) GTEST_SKIP() << "needs user namespaces";
  EXPECT_EQ(before, 0) << "both numbers are none";
  owned(165534, 7);
  EXPECT_EQ(differs(all, few), 1) << "it is a user, where another was sealed";
  owned(7, 165534);
  EXPECT_EQ(differs(few, all), 1) << "a group likewise";
  owned(165534, 165534);
  Sealed();
  EXPECT_EQ(differs(all, all), 0);
  owned(100005, 165534);
  EXPECT_EQ(differs(all, all), 1);
}

TEST_F(VerifyTest, TheManifestAloneIsLookedAt) {
  const auto none = CheckManifest(root_.get(), "root");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kNotFound);
  Sealed();
  Write("etc/passwd", "another\n");
  EXPECT_TRUE(CheckManifest(root_.get(), "root")) << "which is for Verify() to find";
  Write(std::string(kManifestName), "nonsense\n");
  EXPECT_EQ(CheckManifest(root_.get(), "root").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace nucleus::attest
