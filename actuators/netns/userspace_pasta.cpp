// pasta(1): told everything at its start. It changes who it is, and forgets about a signal for the death of who started
// it (prctl(2), PR_SET_PDEATHSIG); so a small process stands between, the first of a pid namespace, which dies with
// ours, and pasta with it. That process has a mount namespace of its own too: the network namespace is a descriptor of
// ours, and pasta wants a path.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <csignal>
#include <cstring>

#include "actuators/netns/userspace_start.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/text.hpp"
#include "spec/net.hpp"
#include "state/parts/netns_facts.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::netns {

namespace {

constexpr std::string_view kPasta = "pasta";
constexpr const char* kReadyFile = "pasta";      // in the directory: its pid, once the link is up
constexpr const char* kPinFile = "pasta.netns";  // what the namespace is mounted on, for itself

// "127.0.0.1/8080:80"; "8080:80" is of both families.
std::string ForwardText(const spec::PortForward& port, bool v6) {
  const std::string ports = std::to_string(port.host_port) + ":" + std::to_string(port.container_port);
  if (v6 && !port.host_ip) return ports;
  return spec::Format(port.host_ip.value_or(spec::IpAddress())) + "/" + ports;
}

std::vector<std::string> PastaArguments(const UserspacePlace& place, const std::vector<spec::PortForward>& ports) {
  std::vector<std::string> words = {std::string(kPasta), "--foreground", "--quiet", "--config-net"};
  const auto add = [&](std::string_view option, std::string value) {
    words.emplace_back(option);
    words.push_back(std::move(value));
  };
  add("--ns-ifname", std::string(kUserspaceLink));
  add("--address", spec::Format(kUserspaceAddress));
  add("--netmask", std::to_string(kUserspaceSubnet.prefix));
  add("--gateway", spec::Format(kUserspaceGateway));
  if (place.v6) {
    add("--address", spec::Format(kUserspaceAddress6));
    add("--gateway", spec::Format(kUserspaceGateway6));
  } else {
    for (const auto* option : {"--ipv4-only", "--no-ndp"}) words.emplace_back(option);
  }
  // One that it knows from the start: it would else send to everybody, until it has heard from somebody.
  add("--ns-mac-addr", Format(MacOf(kUserspaceAddress)));
  // Nothing of the machine's loopback, and no answers of its own.
  for (const auto* option : {"--no-map-gw", "--no-dhcp", "--no-dhcpv6", "--no-ra", "--netns-only"})
    words.emplace_back(option);
  add("--tcp-ns", "none");
  add("--udp-ns", "none");
  for (const auto protocol : {spec::Protocol::kTcp, spec::Protocol::kUdp}) {
    const std::string_view option = protocol == spec::Protocol::kTcp ? "--tcp-ports" : "--udp-ports";
    bool any = false;
    for (const auto& port : ports) {
      if (port.protocol != protocol) continue;
      add(option, ForwardText(port, place.v6));
      any = true;
    }
    if (!any) add(option, "none");
  }
  // It could not open what is below directories of root's alone as somebody else; its sandbox holds for root.
  add("--runas", "0:0");
  add("--pid", place.path + "/" + kReadyFile);
  add("--netns", place.path + "/" + kPinFile);
  return words;
}

struct PastaPlan {
  const char* program = nullptr;
  char* const* argv = nullptr;
  const char* pin = nullptr;
  std::array<char, 32> network{};  // "/proc/self/fd/N"
  int null = -1;
  int words = -1;
};

[[noreturn]] void Complain(const char* what) {
  const char* text = ::strerrorname_np(errno);
  for (const char* part : {what, ": ", text != nullptr ? text : "?"})
    (void)!::write(STDERR_FILENO, part, std::char_traits<char>::length(part));
  ::_exit(1);
}

// In a copy of our memory: system calls only.
[[noreturn]] void StandBetween(const PastaPlan& plan) {
  for (int fd = 0; fd < 2; ++fd) ::dup2(plan.null, fd);
  ::dup2(plan.words, STDERR_FILENO);
  ::prctl(PR_SET_NAME, "nucleus-pasta", 0, 0, 0);
  ::setsid();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) Complain("mount /");
  if (::mount(plan.network.data(), plan.pin, nullptr, MS_BIND, nullptr) != 0) Complain("mount network namespace");
  ::syscall(SYS_close_range, 3, ~0U, 0);
  for (int signal = 1; signal < NSIG; ++signal) ::signal(signal, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const pid_t child = sys::Clone3(0, -1, nullptr);
  if (child < 0) Complain("clone");
  if (child == 0) {
    std::array<char*, 1> environment{nullptr};
    ::execve(plan.program, plan.argv, environment.data());
    Complain("execute");
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

}  // namespace

Result<UserspaceProcess> StartPasta(const std::string& program, const UserspacePlace& place,
                                    const std::vector<spec::PortForward>& ports) {
  TRY(CheckTunDevice());
  RemoveTraces(place);
  const auto words = TRY(Above(sys::Fd(::memfd_create("pasta", MFD_CLOEXEC)), 3, kPasta));
  const auto opened = TRY(sys::Open("/dev/null", O_RDWR | O_CLOEXEC));
  const auto null = TRY(Above(opened, 3, "/dev/null"));
  const std::string pin = place.path + "/" + kPinFile;
  (void)TRY(sys::Open(pin, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0400));
  const auto arguments = PastaArguments(place, ports);
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  PastaPlan plan{
      .program = program.c_str(), .argv = argv.data(), .pin = pin.c_str(), .null = null.get(), .words = words.get()};
  const std::string network = "/proc/self/fd/" + std::to_string(place.network.get());
  network.copy(plan.network.data(), plan.network.size() - 1);

  UserspaceProcess started;
  int process = -1;
  // Nothing of ours handles a signal there.
  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const pid_t pid = sys::Clone3(CLONE_NEWPID | CLONE_NEWNS, -1, &process);
  if (pid == 0) StandBetween(plan);
  const int err = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return FailSys("clone", kPasta, err);
  started.pid = pid;
  started.process.reset(process);
  constexpr std::chrono::milliseconds kLook{5};
  const auto deadline = std::chrono::steady_clock::now() + kUserspacePatience;
  while (true) {
    const auto ready = sys::ReadBriefIfThere(place.directory.get(), kReadyFile);
    if (ready && *ready && (*ready)->ends_with('\n')) return started;
    const auto now = std::chrono::steady_clock::now();
    if (now < deadline && !Readable(started.process, now + kLook)) continue;
    started.End();
    return Fail(ErrorCode::kSystem, "start", kPasta, WordsOf(words));
  }
}

}  // namespace nucleus::netns
