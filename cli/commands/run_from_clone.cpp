#include "cli/commands/run_from_clone.hpp"

#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "actuators/process/channel.hpp"
#include "actuators/sys/file.hpp"
#include "cli/users_machine.hpp"

namespace nucleus::cli {

Result<> RunFromClone() {
  // Told by its first word it has been mapped from one.
  if (TRY(process::RunsFromClone())) return process::ForbidTracing();
  std::string words = TRY(sys::ReadFile("/proc/self/cmdline"));
  std::vector<char*> argv;
  for (std::size_t i = 0; i < words.size(); i = words.find('\0', i) + 1) argv.push_back(words.data() + i);
  argv.push_back(nullptr);
  return process::RunFromClone(argv.data(), environ);
}

Result<> EnterMachineOf(const Container& container, const Directories& directories) {
  if (container.project != kContainersProject) (void)TRY(JoinUsersMachine(directories));
  return {};
}

Result<> BecomeOwnerOf(const Container& container, const Directories& directories) {
  TRY(EnterMachineOf(container, directories));
  if (::geteuid() == 0) return {};  // it is root's, or we are in the machine
  const auto supervisor = TRY(process::FindSupervisor(container.directory));
  if (!supervisor) return Fail(ErrorCode::kNotFound, "", container.Name(), "is not running");
  ::setenv("NUCLEUS_STATE_DIR", directories.state.c_str(), 1);
  ::setenv("NUCLEUS_RUNTIME_DIR", directories.runtime.c_str(), 1);
  if (::setns(supervisor->pidfd.get(), CLONE_NEWUSER) == 0) return {};
  return FailSys("enter", "user namespace of " + container.Name());
}

}  // namespace nucleus::cli
