#include "actuators/supervisor/unit.hpp"

#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/own_program.hpp"
#include "actuators/process/service_directory.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/spawn.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

// Its namespaces are kept by a process that holds the lock of its directory.
Result<> JoinMachine(const std::string& directory) {
  if (::geteuid() == 0) return {};
  const std::string machine = RuntimeOf(directory) + "/machine";
  const auto keeper = TRY(FindSupervisor(machine));
  if (!keeper) return Fail(ErrorCode::kNotFound, "enter", "user namespace", "its program has ended");
  if (::setns(keeper->pidfd.get(), CLONE_NEWUSER | CLONE_NEWNS) != 0) return FailSys("enter", "user namespace");
  const sys::Fd network = TRY(sys::Open(machine + "/netns", O_RDONLY));
  if (::setns(network.get(), CLONE_NEWNET) != 0) return FailSys("enter", "network namespace");
  return {};
}

Result<> LeaveTopGroup(const std::string& project) {
  const auto root = cgroup::RootOf(project);
  if (!root || !root->writable || !root->base.ends_with(UnitName(project))) return {};
  const std::string group = TRY(cgroup::MakeSupervisorGroup(*root, project));
  return sys::WriteKernelFile(group + "/cgroup.procs", "0");
}

// What makes the container once more; no words: it has not been up yet.
Result<std::vector<std::string>> HowToMakeAgain(const std::string& directory) {
  auto words = TRY(ReadAgain(directory));
  if (!words) return Fail(ErrorCode::kNotFound, "make again", "container", "it was ended, and stays so");
  return *std::move(words);
}

// A pidfd of the command; none: there is none.
Result<sys::Fd> MakeAgain(std::vector<std::string> words) {
  if (words.empty()) return sys::Fd();
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  sys::FileActions files;
  files.CloseFrom(STDERR_FILENO + 1);
  const sys::SpawnAttributes attributes;
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, argv.front(), files.get(), attributes.get(), argv.data(), environ);
  if (failed != 0) return FailSys("execute", words.front(), failed);
  return sys::Fd(sys::PidfdOpen(pid));
}

}  // namespace

Result<sys::Fd> AwaitInUnit(char** argv) {
  const std::string directory = argv[1];
  TRY(JoinMachine(directory));
  TRY(RunFromClone(argv, environ));
  TRY(LeaveTopGroup(ProjectOf(directory)));
  auto again = TRY(HowToMakeAgain(directory));
  auto hold = TRY(HoldSocket::Make(directory));
  const sys::Fd helper = TRY(MakeAgain(std::move(again)));
  return hold.Await(helper);
}

}  // namespace nucleus::process
