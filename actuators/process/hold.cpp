#include "actuators/process/hold.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "actuators/sys/file.hpp"
#include "actuators/sys/pass_fd.hpp"
#include "actuators/sys/unix_address.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

constexpr int kPatienceMs = 30'000;  // until somebody comes
constexpr char kKeeps = 'k';
constexpr std::string_view kSubject = "the unit's supervisor";

Result<sys::Fd> StreamSocket() {
  sys::Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return FailSys("socket", kSubject);
  return socket;
}

struct Connection {
  sys::Fd socket;
  bool keeps = false;  // whoever made it makes the container
};

// The pipe, where that is what was sent; else what was said is noted.
sys::Fd Hear(Connection& connection) {
  char word = 0;
  const ssize_t size = ::recv(connection.socket.get(), &word, 1, MSG_DONTWAIT | MSG_PEEK);
  if (size == 0) connection.socket.reset();
  if (size != 1) return {};
  if (word != kKeeps) return sys::Fd(sys::ReceiveFd(connection.socket.get()));
  connection.keeps = ::recv(connection.socket.get(), &word, 1, MSG_DONTWAIT) == 1;
  return {};
}

}  // namespace

Result<HoldSocket> HoldSocket::Make(const std::string& directory) {
  TRY(sys::MakeDirectories(directory, 0755));
  const std::string path = directory + "/" + std::string(kHoldSocket);
  const sys::Fd inside = TRY(sys::Open(directory, O_PATH | O_DIRECTORY));
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailSys("remove", path);
  sys::Fd listener = TRY(StreamSocket());
  // As long as it cannot be connected to, nobody takes it for one that waits.
  const sockaddr_un address = sys::AddressIn(inside, kHoldSocket);
  if (::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FailSys("bind", path);
  if (::chmod(path.c_str(), 0600) != 0) return FailSys("chmod", path);
  if (::listen(listener.get(), 8) != 0) return FailSys("listen", path);
  return HoldSocket(path, std::move(listener));
}

std::unexpected<Error> HoldSocket::GiveUp(std::string_view who) const {
  const std::string directory = path_.substr(0, path_.rfind('/'));
  ::unlink(path_.c_str());
  (void)ForgetAgain(directory);
  sys::RemoveIfEmpty(directory, 2);
  return Fail(ErrorCode::kInterrupted, "wait for", "container", std::string(who) + " ended before it was made");
}

std::unexpected<Error> HoldSocket::HelperEnded(const sys::Fd& helper) const {
  siginfo_t end{};
  const bool known = ::waitid(P_PIDFD, static_cast<id_t>(helper.get()), &end, WEXITED) == 0;
  if (known && end.si_code == CLD_EXITED && end.si_status == 0) return GiveUp("the command that makes it");
  ::unlink(path_.c_str());
  return Fail(ErrorCode::kLocked, "make again", "container", "the command that makes it did not come through");
}

Result<sys::Fd> HoldSocket::Await(const sys::Fd& helper) {
  std::vector<Connection> connections;
  std::vector<pollfd> polls;
  while (true) {
    polls = {{.fd = listener_.get(), .events = POLLIN, .revents = 0},
             {.fd = helper.get(), .events = POLLIN, .revents = 0}};
    for (const auto& one : connections) polls.push_back({.fd = one.socket.get(), .events = POLLIN, .revents = 0});
    const bool kept = helper || std::ranges::any_of(connections, &Connection::keeps);
    const int ready = ::poll(polls.data(), polls.size(), kept ? -1 : kPatienceMs);
    if (ready < 0 && errno != EINTR) return FailSys("poll", kSubject);
    if (ready == 0) return GiveUp("who makes it");
    for (std::size_t i = 0; i < connections.size(); ++i) {
      if (polls[i + 2].revents == 0) continue;
      if (sys::Fd pipe = Hear(connections[i])) {
        ::unlink(path_.c_str());
        return pipe;
      }
      if (connections[i].keeps && !connections[i].socket) return GiveUp("who makes it");
    }
    if (polls[1].revents != 0) return HelperEnded(helper);
    std::erase_if(connections, [](const Connection& one) { return !one.socket; });
    if (polls[0].revents == 0) continue;
    if (sys::Fd next(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); next)
      connections.push_back({std::move(next)});
  }
}

Result<std::optional<sys::Fd>> ConnectHold(const std::string& directory) {
  auto inside = sys::Open(directory, O_PATH | O_DIRECTORY);
  if (!inside && inside.error().sys_errno == ENOENT) return std::nullopt;
  if (!inside) return Fail(std::move(inside).error());
  sys::Fd socket = TRY(StreamSocket());
  const sockaddr_un address = sys::AddressIn(*inside, kHoldSocket);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  if (errno == ENOENT || errno == ECONNREFUSED) return std::nullopt;
  return FailSys("connect to", kSubject);
}

Result<std::optional<sys::Fd>> KeepHold(const std::string& directory) {
  auto connection = TRY(ConnectHold(directory));
  if (connection && ::send(connection->get(), &kKeeps, 1, MSG_NOSIGNAL) != 1) return FailSys("tell", kSubject);
  return connection;
}

bool IsHeld(const std::string& directory) {
  const auto connection = ConnectHold(directory);
  return connection && *connection;
}

Result<> WriteAgain(const std::string& directory, const std::vector<std::string>& command) {
  TRY(sys::MakeDirectories(directory, 0755));
  std::string words;
  for (const std::string& word : command) words += word + '\0';
  return sys::ReplaceFile(directory + "/" + std::string(kAgainFile), words, 0600);
}

Result<> ForgetAgain(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kAgainFile);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailSys("remove", path);
  return {};
}

Result<std::optional<std::vector<std::string>>> ReadAgain(const std::string& directory) {
  const auto text = TRY(sys::ReadFileIfThere(directory + "/" + std::string(kAgainFile)));
  if (!text) return std::nullopt;
  std::vector<std::string> words;
  for (std::string_view rest = *text; rest.contains('\0'); rest.remove_prefix(rest.find('\0') + 1))
    words.emplace_back(rest.substr(0, rest.find('\0')));
  return words;
}

}  // namespace nucleus::process
