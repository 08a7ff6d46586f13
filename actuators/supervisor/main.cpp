// nucleus-supervisor DIRECTORY FD, nucleus-supervisor ROOM FD start, nucleus-supervisor DIRECTORY unit: watches the
// workload of a service directory; supervisor.hpp.
//
// FD is the pipe on which it says whether the workload was executed (channel.hpp). With "start" it is where supervisors
// are asked for (order.hpp): each is a copy of this process, which init adopts when nobody is left who would ask. ROOM
// is blank, and as long as the name of a directory may be that takes its place. Started by the process actuator from a
// read-only clone of its own file, so that no container can ever write to it (CVE-2019-5736). It ends with the exit
// code of the workload's last run: for whoever waits for it while its directory is removed.
//
// As the program of a unit it waits in the directory until it is told of such a pipe (unit.hpp).
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "actuators/process/at_end.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/process/order.hpp"
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

// What ps(1) shows: the directory in the place of all words from the blank one to the last, and zeros.
void ShowDirectory(char* room, const char* last, std::string_view directory) {
  const auto size = static_cast<std::size_t>(last + std::strlen(last) - room);
  if (directory.size() > size) return;
  std::memset(room, 0, size);
  directory.copy(room, directory.size());
}

// Returns in each supervisor. Born in its group where that can be: to move there holds up every fork and exit of the
// machine (cgroup_threadgroup_rwsem). A group that was ever killed may let nobody be born in it; see child.cpp.
nucleus::process::Order AwaitOrder(nucleus::sys::Fd orders) {
  ::signal(SIGCHLD, SIG_IGN);  // they are waited for by nobody
  while (auto order = nucleus::process::ReceiveOrder(orders)) {
    const pid_t child = nucleus::sys::Clone3(0, order->moves ? -1 : order->group.get(), nullptr);
    if (child != 0) continue;  // where there is none, the pipe is closed without a word
    ::signal(SIGCHLD, SIG_DFL);
    ::setsid();  // none of a group that is an orphan once that program has ended: setpgid(2)
    if (order->moves && order->group && !nucleus::sys::JoinCgroup(order->group.get())) ::_exit(kFailed);
    order->group.reset();
    [[maybe_unused]] const auto lives = ::write(order->ready.get(), &nucleus::process::kLives, 1);
    return *std::move(order);
  }
  ::_exit(0);
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
  const bool starts = argc == 4 && std::string_view(argv[3]) == nucleus::process::kAsStarter;
  if ((argc != 3 && !starts) || !ParseFd(argv[2], fd) || fd < 3) {
    constexpr char kText[] = "usage: nucleus-supervisor DIRECTORY FD\n";
    [[maybe_unused]] const auto wrote = ::write(2, kText, sizeof kText - 1);
    return kUsage;
  }
  ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  if (!starts) return Supervise(argv[1], nucleus::sys::Fd(fd), false);
  auto order = AwaitOrder(nucleus::sys::Fd(fd));
  ShowDirectory(argv[1], argv[3], order.directory);
  return Supervise(order.directory, std::move(order.ready), false);
}
