// nucleus-supervisor DIRECTORY FD [GROUP], nucleus-supervisor DIRECTORY unit: watches the workload of a service
// directory; supervisor.hpp.
//
// FD is the pipe on which it says whether the workload was executed (channel.hpp). With GROUP, a descriptor of the
// cgroup to be in or -1, it goes on in a child that init adopts. Started by the process actuator from a read-only clone
// of its own file, so that no container can ever write to it (CVE-2019-5736). It ends with the exit code of the
// workload's last run: for whoever waits for it while its directory is removed.
//
// As the program of a unit it waits in the directory until it is told of such a pipe (unit.hpp).
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "actuators/process/at_end.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/supervisor/unit.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/standard_files.hpp"

namespace {

constexpr int kUsage = 64;
constexpr int kFailed = 125;

void Answer(nucleus::sys::Fd pipe, const nucleus::Result<>& outcome) {
  ::signal(SIGPIPE, SIG_IGN);  // whoever started us may be gone
  [[maybe_unused]] const auto written =
      nucleus::sys::WriteAll(pipe.get(), nucleus::process::EncodeReady(outcome), "readiness pipe");
}

// Returns in the child. Born in the group where that can be: to move there holds up every fork and exit of the machine
// (cgroup_threadgroup_rwsem). A group that was ever killed may let nobody be born in it; see child.cpp.
void Detach(int cgroup) {
  for (const bool born_there : {true, false}) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) ::_exit(kFailed);
    const pid_t child = nucleus::sys::Clone3(0, born_there ? cgroup : -1, nullptr);
    if (child == 0) {
      if (!born_there && cgroup >= 0 && !nucleus::sys::JoinCgroup(cgroup)) ::_exit(kFailed);
      [[maybe_unused]] const auto alive = ::write(ends[1], "+", 1);
      for (const int end : ends) ::close(end);
      return;
    }
    ::close(ends[1]);
    char alive = 0;
    if (child > 0 && ::read(ends[0], &alive, 1) == 1) ::_exit(0);
    ::close(ends[0]);
  }
  ::_exit(kFailed);
}

bool ParseFd(const char* text, int& fd) {
  const char* end = text + std::strlen(text);
  const auto parsed = std::from_chars(text, end, fd);
  return parsed.ec == std::errc() && parsed.ptr == end;
}

int Supervise(const std::string& directory, nucleus::sys::Fd pipe, bool in_unit) {
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  auto supervisor = nucleus::process::Supervisor::Start(directory, in_unit);
  if (!supervisor) {
    Answer(std::move(pipe), std::unexpected(supervisor.error()));
    return 1;
  }
  Answer(std::move(pipe), {});
  supervisor->Run();
  nucleus::process::ExecuteAtEnd(directory, supervisor->id());
  return supervisor->exit_code();
}

int AsUnit(char** argv) {
  auto pipe = nucleus::process::AwaitInUnit(argv);
  if (pipe) return Supervise(argv[1], std::move(*pipe), true);
  const std::string words = "nucleus-supervisor: " + pipe.error().Message() + "\n";
  [[maybe_unused]] const auto told = nucleus::sys::WriteAll(STDERR_FILENO, words, "journal");
  return pipe.error().code == nucleus::ErrorCode::kLocked ? nucleus::process::kTryAgain : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  nucleus::sys::FillStandardFiles();
  if (argc == 3 && std::string_view(argv[2]) == nucleus::process::kAsUnit) return AsUnit(argv);
  int fd = -1;
  int cgroup = -1;
  const bool detach = argc == 4;
  if ((argc != 3 && argc != 4) || !ParseFd(argv[2], fd) || fd < 3 || (detach && !ParseFd(argv[3], cgroup))) {
    constexpr char kText[] = "usage: nucleus-supervisor DIRECTORY FD [GROUP]\n";
    [[maybe_unused]] const auto wrote = ::write(2, kText, sizeof kText - 1);
    return kUsage;
  }
  if (detach) Detach(cgroup);
  if (cgroup >= 0) ::close(cgroup);
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return Supervise(argv[1], nucleus::sys::Fd(fd), false);
}
