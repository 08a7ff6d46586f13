// A target's component that flips between a directory and a link while containers are set up (CVE-2021-30465,
// CVE-2024-45310). The mount comes to stand in the directory, wherever that is now, or the start fails; never does it
// land where the link leads, inside the root or out of it.
//
// The flipping is done by a thread, so this is the start of a container from a process with threads, too.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <sstream>
#include <thread>
#include <vector>

#include "actuators/process/child_testing.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

using enum MountOp::Type;

// Where in the container the volume is mounted: its line is the one of that source.
std::vector<std::string> PointsOf(const std::string& mountinfo, const std::string& root) {
  std::vector<std::string> points;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string id, parent, device, mounted, point;
    words >> id >> parent >> device >> mounted >> point;
    if (mounted.ends_with(root)) points.push_back(point);
  }
  return points;
}

// How many starts, and of how many at least each end has to be met. `./dev hostile` makes thousands.
int Rounds() {
  const char* const asked = ::getenv("NUCLEUS_TEST_FLIPS");
  return asked != nullptr ? std::max(1, ::atoi(asked)) : 200;
}

TEST(RaceTest, AFlippingTargetLeadsNowhere) {
  if (!Isolate()) GTEST_SKIP() << "needs CAP_SYS_ADMIN and " << kBusybox;
  const int rounds = Rounds();
  const int at_least = std::max(1, rounds / 20);
  const sys::TemporaryDirectory scratch;
  const std::string image = scratch / "image";
  for (const char* name :
       {"image/bin", "image/proc", "image/dev", "image/flip/inner", "image/etc", "volume-that-is-given"})
    ASSERT_TRUE(sys::MakeDirectories(scratch / name, 0755));
  ASSERT_TRUE(sys::MakeDirectories(scratch / "outside/inner", 0755));
  ASSERT_TRUE(sys::MakeDirectories(image + "/etc/inner", 0755));
  for (const char* name : {"busybox", "cat"}) ASSERT_TRUE(sys::ReplaceFile(image + "/bin/" + name, "", 0755));
  // One that leads out, one that stays inside: each takes its turn.
  ASSERT_EQ(::symlink((std::string("../") + "outside").c_str(), (image + "/link0").c_str()), 0);
  ASSERT_EQ(::symlink("/etc", (image + "/link1").c_str()), 0);

  Launch launch = SmallContainer("");
  launch.argv = {"/bin/cat", "/proc/self/mountinfo"};
  launch.mounts = {Op(kRootBind, "", image, kMountNoSuid | kMountNoDev),
                   Op(kBind, "/bin/cat", kBusybox, kMountReadOnly | kMountNoSuid),
                   Filesystem("/proc", "proc", kInert),
                   Filesystem("/dev", "tmpfs", kMountNoSuid | kMountNoExec, "mode=0755"),
                   Op(kBind, "/dev/null", "/dev/null", kMountReadOnly | kMountNoSuid | kMountNoExec),
                   Op(kBind, "/flip/inner", scratch / "volume-that-is-given", kInert)};

  std::atomic<bool> stop = false;
  std::thread flipper([&] {
    const std::string flip = image + "/flip";
    for (int i = 0; !stop; ++i) {
      const std::string link = image + "/link" + std::to_string(i % 2);
      ::renameat2(AT_FDCWD, flip.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
      std::this_thread::sleep_for(std::chrono::microseconds(i % 7));
      ::renameat2(AT_FDCWD, flip.c_str(), AT_FDCWD, link.c_str(), RENAME_EXCHANGE);
      std::this_thread::sleep_for(std::chrono::microseconds(i % 311));
    }
  });
  // As long as it takes until both ends have been met often: which of them is more frequent is the scheduler's.
  std::atomic<int> tried = 0, started = 0, refused = 0;
  const auto starts = [&] {
    while (!testing::Test::HasFailure() && (tried < rounds || started < at_least || refused < at_least)) {
      ++tried;
      const auto outcome = RunToEnd(launch);
      if (!outcome) {
        ++refused;
        EXPECT_NE(outcome.error().Message().find("at /flip/inner"), std::string::npos) << outcome.error().Message();
        continue;
      }
      ++started;
      const auto points = PointsOf(outcome->text, "/volume-that-is-given");
      EXPECT_EQ(points.size(), 1U) << outcome->text;
      // The directory may be called by the link's name at the moment.
      EXPECT_TRUE(points.size() == 1 &&
                  (points[0] == "/flip/inner" || points[0] == "/link0/inner" || points[0] == "/link1/inner"))
          << outcome->text;
    }
  };
  std::vector<std::thread> starters;
  for (int i = 0; i < 4; ++i) starters.emplace_back(starts);  // a start waits for the kernel most of its time
  for (auto& starter : starters) starter.join();
  stop = true;
  flipper.join();
  RecordProperty("started", started);
  RecordProperty("refused", refused);
}

}  // namespace
}  // namespace nucleus::process
