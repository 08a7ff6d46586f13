// slirp4netns(1): told what to publish over its API socket, one command a connection.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>

#include "actuators/netns/userspace.hpp"
#include "actuators/netns/userspace_start.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/pipe.hpp"
#include "actuators/sys/spawn.hpp"
#include "spec/core/text.hpp"
#include "spec/net.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::netns {

namespace {

constexpr std::string_view kSlirp = "slirp4netns";
constexpr const char* kSocket = "slirp4netns";  // in the directory
constexpr const char* kMtu = "65520";           // the largest; what leaves are the sockets' own packets

// Descriptors in the new process.
constexpr int kReadyFd = 3;
constexpr int kExitFd = 4;
constexpr int kNetworkFd = 5;
constexpr int kDirectoryFd = 6;

std::string FdPath(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}
// Never longer than a socket's address may be.
std::string SocketPath(int directory) {
  return FdPath(directory) + "/" + kSocket;
}

Result<sys::Fd> ConnectTo(const std::string& path) {
  sys::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return FailSys("connect", path);
  }
  return socket;
}

// One command a connection: it answers, and closes.
Result<int> Tell(const std::string& path, const std::string& command, std::string_view subject) {
  const auto socket = TRY(ConnectTo(path));
  if (::send(socket.get(), command.data(), command.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(command.size())) {
    return FailSys("send", path);
  }
  ::shutdown(socket.get(), SHUT_WR);
  std::string answer;
  std::array<char, 4096> part{};
  const auto deadline = std::chrono::steady_clock::now() + kUserspacePatience;
  while (answer.size() < part.size() && Readable(socket, deadline)) {
    const ssize_t size = ::recv(socket.get(), part.data(), part.size(), 0);
    if (size <= 0) break;
    answer.append(part.data(), static_cast<std::size_t>(size));
  }
  return ReadAnswer(answer, subject);
}

}  // namespace

Result<int> ReadAnswer(std::string_view text, std::string_view subject) {
  const auto answer = nlohmann::json::parse(text, nullptr, false);
  if (answer.is_object() && answer.contains("return")) {
    const auto& made = answer["return"];
    const auto number = made.is_object() ? made.find("id") : made.end();
    return number != made.end() && number->is_number_integer() ? number->get<int>() : -1;
  }
  std::string why = "it gave no answer that could be understood";
  if (answer.is_object() && answer.contains("error") && answer["error"].is_object()) {
    const auto words = answer["error"].find("desc");
    if (words != answer["error"].end() && words->is_string()) why = Printable(words->get<std::string>());
  }
  return Fail(ErrorCode::kConflict, "publish", subject, std::string(kSlirp) + ": " + why);
}

Result<int> PublishBySlirp(const UserspacePlace& place, const spec::PortForward& port) {
  const nlohmann::json command = {{"execute", "add_hostfwd"},
                                  {"arguments",
                                   {{"proto", port.protocol == spec::Protocol::kTcp ? "tcp" : "udp"},
                                    {"host_addr", spec::Format(port.host_ip.value_or(spec::IpAddress()))},
                                    {"host_port", port.host_port},
                                    {"guest_addr", spec::Format(kUserspaceAddress)},
                                    {"guest_port", port.container_port}}}};
  return Tell(SocketPath(place.directory.get()), command.dump(), "port " + spec::Format(port));
}

Result<> WithdrawFromSlirp(const UserspacePlace& place, const spec::PortForward& port, int number) {
  const nlohmann::json command = {{"execute", "remove_hostfwd"}, {"arguments", {{"id", number}}}};
  (void)TRY(Tell(SocketPath(place.directory.get()), command.dump(), "port " + spec::Format(port)));
  return {};
}

Result<UserspaceProcess> StartSlirp(const std::string& program, const UserspacePlace& place) {
  TRY(CheckTunDevice());
  auto ready = TRY(sys::MakePipe(kSlirp));
  auto exit = TRY(sys::MakePipe(kSlirp));
  const sys::Fd words(::memfd_create("slirp4netns", MFD_CLOEXEC));
  if (!words) return FailSys("memfd_create", kSlirp);
  RemoveTraces(place);

  ready.write = TRY(Above(ready.write, kDirectoryFd + 1, kSlirp));
  exit.read = TRY(Above(exit.read, kDirectoryFd + 1, kSlirp));
  const auto network = TRY(Above(place.network, kDirectoryFd + 1, kSlirp));
  const auto directory = TRY(Above(place.directory, kDirectoryFd + 1, kSlirp));
  sys::FileActions actions;
  actions.Open(STDIN_FILENO, "/dev/null", O_RDONLY);
  actions.Open(STDOUT_FILENO, "/dev/null", O_WRONLY);
  actions.Give(words.get(), STDERR_FILENO);
  actions.Give(ready.write.get(), kReadyFd);
  actions.Give(exit.read.get(), kExitFd);
  actions.Give(network.get(), kNetworkFd);
  actions.Give(directory.get(), kDirectoryFd);
  actions.CloseFrom(kDirectoryFd + 1);

  std::vector<std::string> arguments = {std::string(kSlirp),
                                        "--configure",
                                        "--mtu=" + std::string(kMtu),
                                        "--ready-fd=" + std::to_string(kReadyFd),
                                        "--exit-fd=" + std::to_string(kExitFd),
                                        "--disable-host-loopback",
                                        "--disable-dns",
                                        "--enable-sandbox",
                                        "--enable-seccomp",
                                        "--api-socket=" + SocketPath(kDirectoryFd),
                                        "--netns-type=path",
                                        FdPath(kNetworkFd),
                                        std::string(kUserspaceLink)};
  if (place.v6) arguments.insert(arguments.begin() + 1, "--enable-ipv6");
  std::vector<char*> argv;
  for (const auto& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  std::array<char*, 1> environment{nullptr};
  const sys::SpawnAttributes attributes;
  UserspaceProcess started;
  const int failed =
      ::posix_spawn(&started.pid, program.c_str(), actions.get(), attributes.get(), argv.data(), environment.data());
  if (failed != 0) return Fail(Error::Sys("start", program, failed));
  started.process.reset(sys::PidfdOpen(started.pid));
  started.exit = std::move(exit.write);
  if (!started.process) return FailSys("pidfd_open", kSlirp);  // its end of the pipe goes, and it with it
  ready.write.reset();
  char byte = 0;
  const auto deadline = std::chrono::steady_clock::now() + kUserspacePatience;
  if (Readable(ready.read, deadline) && ::read(ready.read.get(), &byte, 1) == 1) return started;
  started.End();
  return Fail(ErrorCode::kSystem, "start", kSlirp, WordsOf(words));
}

}  // namespace nucleus::netns
