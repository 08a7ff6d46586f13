#include "cli/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace nucleus::cli {

namespace {

sys::Fd Connect(std::string_view path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() < 2 || path.size() >= sizeof address.sun_path) return {};
  std::ranges::copy(path, address.sun_path);
  if (path.front() == '@') address.sun_path[0] = '\0';  // unix(7): an abstract one
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  sys::Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  // A manager that is busy is waited for; what it does not take by then is lost.
  constexpr timeval kPatience{.tv_sec = 2, .tv_usec = 0};
  if (!socket || ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience) != 0) return {};
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) return {};
  return socket;
}

// A line of its own: what it says may come from files.
std::string StatusLine(std::string_view status) {
  std::string line = "STATUS=";
  for (const char c : status) line += c == '\n' ? ' ' : c;
  return line;
}

}  // namespace

Notify::Notify() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path != nullptr && (*path == '/' || *path == '@')) socket_ = Connect(path);
  const char* every = std::getenv("WATCHDOG_USEC");
  const char* whose = std::getenv("WATCHDOG_PID");
  if (socket_ && every != nullptr && (whose == nullptr || whose == std::to_string(::getpid()))) {
    std::int64_t every_us = 0;
    const char* end = every + std::strlen(every);
    if (std::from_chars(every, end, every_us).ec == std::errc() && every_us > 0)
      alive_every_ = Milliseconds(std::max<std::int64_t>(every_us / 2'000, 1));
  }
  for (const char* name : {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"}) ::unsetenv(name);
}

void Notify::Send(std::string_view text) {
  if (socket_) (void)::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

void Notify::Ready(std::string_view status) {
  Send("READY=1\n" + StatusLine(status));
}

void Notify::Status(std::string_view status) {
  Send(StatusLine(status));
}

void Notify::Reloading() {
  using std::chrono::microseconds;
  // steady_clock is CLOCK_MONOTONIC, which is what is asked for.
  const auto now = std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch());
  Send("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(now.count()));
}

void Notify::Stopping() {
  Send("STOPPING=1");
}

void Notify::Alive() {
  if (alive_every_) Send("WATCHDOG=1");
}

Notify::KeepAlive::KeepAlive(Notify& notify) {
  if (!notify.alive_every()) return;
  thread_ = std::jthread([this, &notify](const std::stop_token& ended) {
    std::unique_lock lock(mutex_);
    while (!ended.stop_requested()) {
      notify.Alive();
      ended_.wait_for(lock, ended, *notify.alive_every(), [&ended] { return ended.stop_requested(); });
    }
  });
}

}  // namespace nucleus::cli
