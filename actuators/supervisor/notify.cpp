#include "actuators/supervisor/notify.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "actuators/sys/file.hpp"
#include "actuators/sys/unix_address.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

// What tells of the workload alone, and of no process, descriptor or right. That it stops is no end of ours: it may be
// started again. And how long it may be silent (WATCHDOG_USEC=) would hold while there is none.
constexpr auto kPassedOn =
    std::to_array<std::string_view>({"STATUS=", "ERRNO=", "BUSERROR=", "EXIT_STATUS=", "WATCHDOG=",
                                     "EXTEND_TIMEOUT_USEC=", "RELOADING=", "MONOTONIC_USEC="});

bool IsPassedOn(std::string_view line) {
  return std::ranges::any_of(kPassedOn, [line](std::string_view key) { return line.starts_with(key); });
}

void CloseAll(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
      ::close(fd);
    }
  }
}

}  // namespace

Notification ReadNotification(std::string_view datagram) {
  Notification said;
  while (!datagram.empty()) {
    const auto line = datagram.substr(0, datagram.find('\n'));
    datagram.remove_prefix(std::min(line.size() + 1, datagram.size()));
    constexpr std::string_view kStatus = "STATUS=";
    if (line == "READY=1") said.ready = true;
    if (line.starts_with(kStatus)) said.words = line.substr(kStatus.size());
    if (IsPassedOn(line)) (said.passed_on += line) += '\n';
  }
  return said;
}

Result<NotifySocket> NotifySocket::Make(const std::string& directory) {
  const std::string place = directory + "/" + std::string(kNotifyDirectory);
  TRY(sys::MakeDirectories(place, 0700));
  const sys::Fd inside = TRY(sys::Open(place, O_PATH | O_DIRECTORY | O_NOFOLLOW));
  const std::string name(kNotifySocket.substr(kNotifyDirectory.size() + 1));
  if (::unlinkat(inside.get(), name.c_str(), 0) != 0 && errno != ENOENT) return FailSys("remove", place + "/" + name);
  sys::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return FailSys("socket", place);
  const sockaddr_un address = sys::AddressIn(inside, name);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FailSys("bind", place + "/" + name);
  // Whoever the workload runs as, and whatever our umask is.
  if (::fchmodat(inside.get(), name.c_str(), 0666, 0) != 0) return FailSys("chmod", place + "/" + name);
  return NotifySocket(std::move(socket));
}

std::optional<std::string> NotifySocket::Receive() const {
  constexpr std::size_t kMostFds = 253;  // unix(7), SCM_MAX_FD
  std::array<char, PIPE_BUF> text;       // the most that systemd takes
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFds * sizeof(int))> control{};
  iovec data{.iov_base = text.data(), .iov_len = text.size()};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return std::nullopt;
  CloseAll(message);
  if ((message.msg_flags & MSG_TRUNC) != 0) return std::string();  // too long: nothing is made of it
  return std::string(text.data(), static_cast<std::size_t>(size));
}

Manager Manager::FromEnvironment() {
  Manager manager;
  const char* told = std::getenv("NOTIFY_SOCKET");
  if (told == nullptr || (*told != '/' && *told != '@')) return manager;
  const std::string name(told);
  ::unsetenv("NOTIFY_SOCKET");  // what we start is not to speak for us
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof address.sun_path) return manager;
  name.copy(address.sun_path, sizeof address.sun_path);
  const bool abstract = name.front() == '@';  // unix(7)
  if (abstract) address.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (abstract ? 0 : 1));
  sys::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  constexpr timeval kPatience{.tv_sec = 2, .tv_usec = 0};
  if (socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) == 0 &&
      ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0)
    manager.socket_ = std::move(socket);
  return manager;
}

void Manager::Tell(std::string_view lines) const {
  if (!socket_) return;
  [[maybe_unused]] const auto sent = ::send(socket_.get(), lines.data(), lines.size(), MSG_NOSIGNAL);
}

std::string ReadyLines(pid_t pid) {
  return "READY=1\nMAINPID=" + std::to_string(pid) + "\n";
}

}  // namespace nucleus::process
