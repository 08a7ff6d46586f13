#include "actuators/process/own_program.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <string>

#include "actuators/process/start_supervisor.hpp"

namespace nucleus::process {

namespace {

constexpr const char* kSelf = "/proc/self/exe";

// The link leads to a mount of the namespace that we were executed in. From another, which an ordinary user's nucleus
// has entered since, it cannot be cloned; then by its path.
Result<sys::Fd> OpenSelf() {
  auto clone = OpenProgram(kSelf);
  if (clone || clone.error().sys_errno != EINVAL) return clone;
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink(kSelf, path.data(), path.size());
  if (size <= 0) return FailSys("readlink", kSelf);
  return OpenProgram(std::string(path.data(), static_cast<std::size_t>(size)));
}

}  // namespace

Result<> RunFromClone(char** argv, char** environment) {
  struct statvfs at{};
  if (::statvfs(kSelf, &at) != 0) return FailSys("statvfs", kSelf);
  if ((at.f_flag & ST_RDONLY) == 0) {
    const sys::Fd clone = TRY(OpenSelf());
    ::syscall(SYS_execveat, clone.get(), "", argv, environment, AT_EMPTY_PATH);
    return FailSys("execveat", kSelf);
  }
  // What is in our memory, the environment of the workload among it, is in no core dump and for nobody to trace.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailSys("prctl", "PR_SET_DUMPABLE");
  return {};
}

}  // namespace nucleus::process
