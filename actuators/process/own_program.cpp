#include "actuators/process/own_program.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "actuators/process/start_supervisor.hpp"

namespace nucleus::process {

Result<> RunFromClone(char** argv, char** environment) {
  constexpr const char* kSelf = "/proc/self/exe";
  struct statvfs at{};
  if (::statvfs(kSelf, &at) != 0) return FailSys("statvfs", kSelf);
  if ((at.f_flag & ST_RDONLY) == 0) {
    const sys::Fd clone = TRY(OpenProgram(kSelf));
    ::syscall(SYS_execveat, clone.get(), "", argv, environment, AT_EMPTY_PATH);
    return FailSys("execveat", kSelf);
  }
  // What is in our memory, the environment of the workload among it, is in no core dump and for nobody to trace.
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailSys("prctl", "PR_SET_DUMPABLE");
  return {};
}

}  // namespace nucleus::process
