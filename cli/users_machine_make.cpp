// Making it, what is published of it, and its end.
#include "cli/users_machine.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>

#include "actuators/netns/inside.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/user_namespace.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/loopback.hpp"
#include "actuators/sys/own_programs.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/process.hpp"
#include "state/parts/netns_facts.hpp"
#include "state/parts/network_help.hpp"
#include "state/permissions.hpp"

namespace nucleus::cli {

namespace {

constexpr int kPatience = 60'000;  // ms

std::string PinOf(const Directories& directories) {
  return UsersMachine(directories) + "/netns";
}

Result<> Ask(const Directories& directories, const NetworkHelp& help, std::uint64_t serial) {
  const std::string program = TRY(sys::ProgramOfOurs("nucleus-network"));
  return sys::ReplaceFile(UsersMachine(directories) + "/" + std::string(kNetworkFile),
                          EncodeNetworkHelp(help, serial, program), 0600);
}

std::uint64_t NewSerial() {
  return static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch().count());
}

// A network namespace, mounted where commands look for it.
Result<> MakePin(const std::string& path) {
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  (void)TRY(sys::Open(path, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400));
  return netns::OnThread([&]() -> Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return FailSys("make", "network namespace");
    if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0)
      return FailSys("pin network namespace", path);
    TRY(netns::WriteSysctls(NewLinkSysctls(true), ""));
    return sys::RaiseLoopback() ? Result<>() : FailSys("raise", "loopback");
  });
}

// In a child of ours: becomes the program that keeps it. Returns an error or not at all.
Result<> Become(const Directories& directories, const sys::Fd& said) {
  ::setsid();
  const std::string place = UsersMachine(directories);
  const std::string program = TRY(sys::ProgramOfOurs("nucleus-network"));
  TRY(sys::MakeDirectories(place, 0700));
  TRY(process::EnterOwnUserNamespace());
  TRY(MakePin(PinOf(directories)));
  NetworkHelp help;
  help.pin = PinOf(directories);
  TRY(Ask(directories, help, NewSerial()));
  constexpr int kFd = 3;
  const auto null = TRY(sys::Open("/dev/null", O_RDWR | O_CLOEXEC));
  const sys::Fd high(::fcntl(said.get(), F_DUPFD_CLOEXEC, 10));
  for (int fd = 0; fd < kFd; ++fd) ::dup2(null.get(), fd);
  if (::chdir("/") != 0 || ::dup2(high.get(), kFd) < 0) return FailSys("start", program);
  std::string name = "nucleus-network", number = std::to_string(kFd), how = "machine";
  std::array<char*, 5> argv{name.data(), const_cast<char*>(place.c_str()), number.data(), how.data(), nullptr};
  std::array<char*, 1> environment{nullptr};
  ::execve(program.c_str(), argv.data(), environment.data());
  return FailSys("start program", program);
}

Result<> Make(const Directories& directories) {
  auto [said_read, said_write] = TRY(sys::MakePipe("machine"));
  auto [failed_read, failed_write] = TRY(sys::MakePipe("machine"));
  const pid_t pid = ::fork();
  if (pid < 0) return FailSys("fork", "machine");
  if (pid == 0) {
    // A grandchild: init adopts it.
    if (::fork() != 0) ::_exit(0);
    const auto became = Become(directories, said_write);
    (void)sys::WriteAll(failed_write.get(), process::EncodeReady(became), "machine");
    ::_exit(1);
  }
  said_write.reset();
  failed_write.reset();
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  const auto error = TRY(sys::ReadAll(failed_read.get(), "machine"));
  if (!error.empty()) TRY(process::DecodeReady(error));
  pollfd entry{said_read.get(), POLLIN, 0};
  char byte = 0;
  if (::poll(&entry, 1, kPatience) == 1 && ::read(said_read.get(), &byte, 1) == 1) return {};
  return Fail(ErrorCode::kSystem, "start", "nucleus-network", "it ended before it could say that it is ready");
}

}  // namespace

Result<> NeedUsersMachine(const Directories& directories) {
  if (::geteuid() == 0 || TRY(JoinUsersMachine(directories))) return {};
  TRY(state::PrepareDirectory(directories.runtime, {}));
  TRY_IN("user namespace", Make(directories));
  if (!TRY(JoinUsersMachine(directories)))
    return Fail(ErrorCode::kSystem, "enter", "user namespace", "its program has ended");
  return {};
}

Result<> SetWayOutOfUsersMachine(const Directories& directories, const reconcile::Taken& taken) {
  NetworkHelp help;
  help.pin = PinOf(directories);
  for (const auto& [port, owner] : taken.ports) help.ports.push_back(AtUsersMachine(port));
  // What is on no network needs no program, which may be missing.
  if (!taken.subnets.empty() || !taken.ports.empty()) help.backend = spec::NatBackend::kUserspace;
  help.v6 = spec::IsUserspace(help.backend) && netns::HasIpv6();
  std::ranges::sort(help.ports);
  const std::string digest = DigestOf(help).Hex();
  if (const auto now = StateOfUsersMachine(directories); now.digest == digest && now.why.empty()) return {};
  const auto serial = NewSerial();
  TRY(Ask(directories, help, serial));
  const auto keeper = TRY(process::FindSupervisor(UsersMachine(directories)));
  if (!keeper) return Fail(ErrorCode::kSystem, "publish", "ports", "the program that keeps the network has ended");
  TRY(sys::SendSignal(keeper->pidfd, SIGHUP, "nucleus-network"));
  for (int waited = 0; waited < kPatience; waited += 10) {
    const auto state = StateOfUsersMachine(directories);
    if (state.digest == digest && state.why.empty()) return {};
    if (state.serial == std::to_string(serial)) return Fail(ErrorCode::kSystem, "publish", "ports", state.why);
    ::usleep(10'000);
  }
  return Fail(ErrorCode::kSystem, "publish", "ports", "the program that keeps the network does not answer");
}

Result<> EndUsersMachine(const Directories& directories) {
  const auto keeper = TRY(process::FindSupervisor(UsersMachine(directories)));
  if (keeper) {
    TRY(sys::SendSignal(keeper->pidfd, SIGTERM, "nucleus-network"));
    (void)TRY(sys::WaitForExit(keeper->pidfd, 10'000));
  }
  while (::umount2(PinOf(directories).c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  return sys::RemoveTree(UsersMachine(directories));
}

}  // namespace nucleus::cli
