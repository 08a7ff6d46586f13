// Volumes on a real file system, in a mount namespace of the test's own.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/mounts/apply.hpp"
#include "actuators/mounts/probe.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::mounts {
namespace {

constexpr auto kNoProgress = [](std::string_view) {};

class Volumes : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    isolated_ = ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  }
  void SetUp() override {
    if (!isolated_) GTEST_SKIP() << "needs CAP_SYS_ADMIN for a mount namespace";
    ASSERT_TRUE(sys::MakeDirectories(directories_.ProjectDir("shop"), 0755));
  }

  [[nodiscard]] DirectoryWanted Persistent() const {
    DirectoryWanted wanted;
    wanted.path = scratch_ / "srv/db/data";
    return wanted;
  }
  [[nodiscard]] DirectoryWanted Ephemeral() const {
    DirectoryWanted wanted;
    wanted.type = spec::VolumeType::kEphemeral;
    wanted.path = directories_.VolumeMount("shop", "data");
    wanted.size = 1 << 20;
    wanted.mode = 01777;
    return wanted;
  }
  Observation Probe(const DirectoryWanted& wanted) {
    auto seen = VolumeProber(directories_).Probe({.project = "shop", .parts = {{key_, wanted}}});
    EXPECT_TRUE(seen) << seen.error().Message();
    return seen ? seen->at(key_) : Observation{};
  }
  // Applied twice, since twice has to equal once.
  void Apply(const DirectoryWanted& wanted) {
    for (int i = 0; i < 2; ++i) {
      const auto applied = actuator_.Apply(key_, wanted, kNoProgress);
      ASSERT_TRUE(applied) << applied.error().Message();
    }
    EXPECT_EQ(Probe(wanted).facts, ExpectedFacts(wanted));
  }

  static inline bool isolated_ = false;
  sys::TemporaryDirectory scratch_;
  Directories directories_{.state = scratch_ / "state", .runtime = scratch_ / "run"};
  PartKey key_{"shop", {Kind::kVolume, "data"}, Part::kDirectory};
  VolumeActuator actuator_{directories_};
};

TEST_F(Volumes, APersistentOneIsMadeWithItsOwnerAndOutlivesItsResource) {
  auto wanted = Persistent();
  wanted.uid = 70;
  wanted.gid = 71;
  Apply(wanted);
  ASSERT_TRUE(sys::ReplaceFile(wanted.path + "/row", "precious", 0600));
  ASSERT_TRUE(actuator_.Undo(key_, nullptr, {}, kNoProgress));
  const Wanted was = wanted;
  ASSERT_TRUE(actuator_.Undo(key_, &was, {}, kNoProgress));
  EXPECT_EQ(sys::ReadFile(wanted.path + "/row").value_or(""), "precious");
  ASSERT_TRUE(actuator_.Undo(key_, &was, {.delete_data = true}, kNoProgress));
  EXPECT_EQ(Probe(wanted).presence, Presence::kAbsent);
  EXPECT_EQ(::access((scratch_ / "srv/db").c_str(), F_OK), 0);  // the parents are not ours to remove
}

TEST_F(Volumes, AnOwnerChangedBehindOurBackIsDriftAndRepaired) {
  auto wanted = Persistent();
  wanted.uid = 70;
  Apply(wanted);
  ASSERT_EQ(::chown(wanted.path.c_str(), 99, 99), 0);
  EXPECT_EQ(Probe(wanted).facts.at("uid"), "99");
  Apply(wanted);
}

TEST_F(Volumes, AModeThatNobodyAskedForIsTheWorkloadsOwnBusiness) {
  const auto wanted = Persistent();
  Apply(wanted);
  ASSERT_EQ(::chmod(wanted.path.c_str(), 0700), 0);
  Apply(wanted);
  EXPECT_EQ(Probe(wanted).notes.at("mode"), "0700");
  auto strict = wanted;
  strict.mode = 0750;
  Apply(strict);
}

TEST_F(Volumes, NoLinkIsFollowed) {
  ASSERT_EQ(::mkdir((scratch_ / "elsewhere").c_str(), 0755), 0);
  ASSERT_EQ(::symlink((scratch_ / "elsewhere").c_str(), (scratch_ / "srv").c_str()), 0);
  const auto wanted = Persistent();
  const auto applied = actuator_.Apply(key_, wanted, kNoProgress);
  ASSERT_FALSE(applied);
  EXPECT_NE(applied.error().Message().find("'srv' is a symbolic link"), std::string::npos) << applied.error().Message();
  EXPECT_NE(::access((scratch_ / "elsewhere/db").c_str(), F_OK), 0);
  EXPECT_EQ(Probe(wanted).facts.at("type"), "no directory");
  const Wanted was = wanted;
  EXPECT_FALSE(actuator_.Undo(key_, &was, {.delete_data = true}, kNoProgress));
}

TEST_F(Volumes, AnEphemeralOneIsATmpfsThatIsResizedLiveAndLeavesNothing) {
  auto wanted = Ephemeral();
  wanted.uid = 70;
  Apply(wanted);
  ASSERT_TRUE(sys::ReplaceFile(wanted.path + "/file", "kept", 0600));
  wanted.size = 2 << 20;
  Apply(wanted);
  EXPECT_EQ(sys::ReadFile(wanted.path + "/file").value_or(""), "kept");
  ASSERT_TRUE(actuator_.Undo(key_, nullptr, {}, kNoProgress));
  ASSERT_TRUE(actuator_.Undo(key_, nullptr, {}, kNoProgress));
  EXPECT_NE(::access(wanted.path.c_str(), F_OK), 0);
}

TEST_F(Volumes, AHalfMadeEphemeralOneIsFinishedOrRemoved) {
  const auto wanted = Ephemeral();
  ASSERT_EQ(::mkdir(wanted.path.c_str(), 0700), 0);
  EXPECT_EQ(Probe(wanted).facts.at("type"), "directory");
  Apply(wanted);
  ASSERT_EQ(::mount("tmpfs", wanted.path.c_str(), "tmpfs", 0, nullptr), 0);  // and a second layer
  ASSERT_TRUE(actuator_.Undo(key_, nullptr, {}, kNoProgress));
  EXPECT_EQ(Probe(wanted).presence, Presence::kAbsent);
}

TEST_F(Volumes, AnEphemeralOneThatNobodyAskedForIsFound) {
  Apply(Ephemeral());
  const auto seen = VolumeProber(directories_).Probe({.project = "shop", .parts = {}});
  ASSERT_TRUE(seen);
  ASSERT_TRUE(seen->contains(key_));
  EXPECT_EQ(seen->at(key_).facts.at("type"), "tmpfs");
  ASSERT_TRUE(actuator_.Undo(key_, nullptr, {}, kNoProgress));
}

}  // namespace
}  // namespace nucleus::mounts
