#include "actuators/process/child_answer.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstring>

namespace nucleus::process {

namespace {

using Clock = std::chrono::steady_clock;

bool IsReady(char byte) {
  return byte == kReady || byte == kReadyInChroot;
}

}  // namespace

Result<> GoOn(const sys::Fd& channel) {
  if (::send(channel.get(), "+", 1, MSG_NOSIGNAL) == 1) return {};
  return FailSys("send", "channel");
}

ChildAnswer ReadAnswer(const sys::Fd& channel, ListenerWait& listener, const Looks& looks, int patience_ms, pid_t pid) {
  const auto patience = std::chrono::milliseconds(patience_ms);
  auto deadline = Clock::now() + patience;
  ChildAnswer answer;
  std::array<char, 1 + sizeof(Failure)> buffer{};
  std::size_t used = 0;
  while (used < buffer.size()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    std::array<pollfd, 2> polls{pollfd{.fd = channel.get(), .events = POLLIN, .revents = 0},
                                pollfd{.fd = listener.fd(), .events = POLLIN, .revents = 0}};
    const int ready = ::poll(polls.data(), polls.size(), static_cast<int>(std::max<std::int64_t>(left, 0)));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      answer.late = true;
      return answer;
    }
    if (polls[1].revents != 0) listener.Take();
    if (polls[0].revents == 0) continue;
    const ssize_t got = ::read(channel.get(), buffer.data() + used, buffer.size() - used);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    const bool first = used == 0;
    const bool built = first && buffer[0] == kBuilt;
    used += built ? 0 : static_cast<std::size_t>(got);  // it waits: there is nothing behind it
    if (!built && (!first || !IsReady(buffer[0]))) continue;
    const Inspection& look = built ? looks.built : looks.inspect;
    if (auto seen = look ? look(pid) : Result<>(); !seen) {
      answer.refused = std::move(seen).error();
      return answer;
    }
    deadline = Clock::now() + patience;
    if (looks.go != nullptr) looks.go->Say();
    (void)GoOn(channel);  // where it has died in between it says no more, which tells
  }
  const char* at = buffer.data();
  answer.ready = used > 0 && used % sizeof(Failure) == 1 && IsReady(*at);
  if (answer.ready) {
    answer.in_chroot = *at == kReadyInChroot;
    ++at;
    --used;
  }
  answer.failed = used == sizeof(Failure);
  if (answer.failed) std::memcpy(&answer.failure, at, sizeof(Failure));
  return answer;
}

}  // namespace nucleus::process
