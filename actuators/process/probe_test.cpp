// What is said of a process that has the number of a workload.
#include "actuators/process/probe.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actuators/process/channel.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"
#include "actuators/sys/testing.hpp"

namespace nucleus::process {
namespace {

class ProbeTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(sys::MakeDirectories(service_, 0755));
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    supervisor_ = ::fork();
    if (supervisor_ == 0) {
      const auto lock = TakeSupervisorLock(service_);
      (void)!::write(ends[1], lock ? "y" : "n", 1);
      ::pause();
      ::_exit(0);
    }
    char answer = 0;
    ASSERT_EQ(::read(ends[0], &answer, 1), 1);
    ASSERT_EQ(answer, 'y');
  }
  void TearDown() override {
    ::kill(supervisor_, SIGKILL);
    ::waitpid(supervisor_, nullptr, 0);
  }

  // Of a workload that is said to run as that process, in another network namespace than its service's.
  std::string NetworkNamespaceOf(const ProcessIdentity& workload) {
    Status status;
    status.state = Status::State::kRunning;
    status.workload = workload;
    EXPECT_TRUE(sys::ReplaceFile(service_ + "/" + std::string(kStatusFile), Encode(status), 0640));
    ProcessWanted wanted;
    wanted.directory = service_;
    wanted.netns = service_;  // no namespace at all
    ProcessProber prober(directories_);
    const auto seen = prober.Probe({.project = key_.project, .parts = {{key_, wanted}}});
    return seen ? seen->at(key_).facts.at("network namespace") : seen.error().Message();
  }

  sys::TemporaryDirectory directory_;
  const Directories directories_{directory_ / "state", directory_ / "runtime"};
  const PartKey key_{"shop", {Kind::kService, "web"}, Part::kProcess};
  const std::string service_ = directories_.ServiceDir(key_.project, key_.address);
  pid_t supervisor_ = 0;
};

TEST_F(ProbeTest, ANumberThatAnotherHasByNowTellsNothing) {
  auto identity = sys::IdentityOf(::getpid()).value();
  EXPECT_EQ(NetworkNamespaceOf(identity), "another");
  identity.start_time += 1;
  EXPECT_EQ(NetworkNamespaceOf(identity), kPinnedNamespace);
}

}  // namespace
}  // namespace nucleus::process
