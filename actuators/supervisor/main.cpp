// nucleus-supervisor DIRECTORY FD: watches the workload of a service directory; supervisor.hpp.
//
// FD is the pipe on which it says whether the workload was executed (channel.hpp). Started by the process actuator from
// a read-only clone of its own file, so that no container can ever write to it (CVE-2019-5736).
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "actuators/process/channel.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"

namespace {

constexpr int kUsage = 64;

void Answer(nucleus::sys::Fd pipe, const nucleus::Result<>& outcome) {
  ::signal(SIGPIPE, SIG_IGN);  // whoever started us may be gone
  [[maybe_unused]] const auto written =
      nucleus::sys::WriteAll(pipe.get(), nucleus::process::EncodeReady(outcome), "readiness pipe");
}

}  // namespace

int main(int argc, char** argv) {
  int fd = -1;
  if (argc != 3 || std::from_chars(argv[2], argv[2] + std::strlen(argv[2]), fd).ec != std::errc() || fd < 3) {
    constexpr char kText[] = "usage: nucleus-supervisor DIRECTORY FD\n";
    [[maybe_unused]] const auto wrote = ::write(2, kText, sizeof kText - 1);
    return kUsage;
  }
  nucleus::sys::Fd pipe(fd);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  auto supervisor = nucleus::process::Supervisor::Start(argv[1]);
  if (!supervisor) {
    Answer(std::move(pipe), std::unexpected(supervisor.error()));
    return 1;
  }
  Answer(std::move(pipe), {});
  supervisor->Run();
  return 0;
}
