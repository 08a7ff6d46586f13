#include "actuators/netns/userspace.hpp"

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <system_error>

#include "actuators/netns/free_ports.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/program_sockets.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/text.hpp"

namespace nucleus::netns {

bool Readable(const sys::Fd& fd, std::chrono::steady_clock::time_point deadline) {
  pollfd entry{fd.get(), POLLIN, 0};
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const int ready = ::poll(&entry, 1, static_cast<int>(left.count()));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
}

std::string WordsOf(const sys::Fd& words) {
  std::string text(4096, '\0');
  const ssize_t read = ::pread(words.get(), text.data(), text.size(), 0);
  text.resize(read < 0 ? 0 : static_cast<std::size_t>(read));
  std::string all;
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (line.empty() || line.ends_with(" to syslog")) continue;  // which is of nobody's interest
    all.append(all.empty() ? "" : "; ").append(line);
  }
  return all.empty() ? "it ended without a word" : Printable(all);
}

Result<sys::Fd> Above(const sys::Fd& fd, int first, std::string_view what) {
  sys::Fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, first));
  if (!high) return FailSys("dup", what);
  return high;
}

Result<> CheckTunDevice() {
  constexpr const char* kDevice = "/dev/net/tun";
  if (::access(kDevice, R_OK | W_OK) == 0) return {};
  return Fail(Error::Sys("open", kDevice, errno).Hint("it is what such a network is made with; udev opens it to all"));
}

void RemoveTraces(const UserspacePlace& place) {
  for (const char* file : {"slirp4netns", "pasta", "pasta.netns"}) ::unlinkat(place.directory.get(), file, 0);
}

void UserspaceProcess::End() {
  const bool asked = static_cast<bool>(exit);
  exit.reset();
  if (pid == 0) return;
  // Who was asked to ends by itself at once; where it does not it has to.
  if (!asked || !Readable(process, std::chrono::steady_clock::now() + std::chrono::seconds(1)))
    sys::PidfdSendSignal(process.get(), SIGKILL);
  // By its descriptor: the supervisor may have taken it for a stranger's child already.
  siginfo_t info{};
  while (::waitid(P_PIDFD, static_cast<id_t>(process.get()), &info, WEXITED) != 0 && errno == EINTR) {
  }
  pid = 0;
}

Result<> UserspaceNetwork::Launch() {
  auto started = StartProgram(TRY(FindUserspaceProgram(backend_, ports_)));
  if (started && place_.v6) started = FurnishLink();
  if (!started) program_.End();
  return started;
}

Result<> UserspaceNetwork::StartProgram(const UserspaceProgram& program) {
  running_ = program.backend;
  if (running_ == spec::NatBackend::kPasta) {
    program_ = TRY(StartPasta(program.path, place_, ports_));
    return {};
  }
  program_ = TRY(StartSlirp(program.path, place_));
  return PublishAll();
}

// Both leave IPv6 to advertisements of theirs, or to whoever may write the settings of the namespace.
Result<> UserspaceNetwork::FurnishLink() {
  const auto link = TRY(GetLink(*look_, kUserspaceLink));
  return link ? SetUserspaceLink(*look_, *link, true) : Result<>();  // gone again: noticed by who watches
}

// What slirp4netns publishes is no more than ports_. False: of one that is no more there may be connections yet.
Result<bool> UserspaceNetwork::Withdraw() {
  bool ended = true;
  for (auto it = program_.published.begin(); it != program_.published.end();) {
    if (std::ranges::find(ports_, it->first) != ports_.end()) {
      ++it;
      continue;
    }
    TRY(WithdrawFromSlirp(place_, it->first, it->second));
    ended = ended && EndConnections(program_.pid, program_.process, it->first);
    it = program_.published.erase(it);
  }
  return ended;
}

// And all of them.
Result<> UserspaceNetwork::PublishAll() {
  for (const auto& port : ports_) {
    if (!program_.published.contains(port)) program_.published[port] = TRY(PublishBySlirp(place_, port));
  }
  WidenListenQueues(program_.pid, program_.process);
  return {};
}

Result<> UserspaceNetwork::Publish(std::vector<spec::PortForward> ports, std::chrono::milliseconds patience) {
  const std::lock_guard lock(mutex_);
  const bool other = ports != ports_;
  ports_ = std::move(ports);
  const bool slirp = running_ == spec::NatBackend::kSlirp4netns;
  if (program_.pid != 0 && !slirp && !other) return {};
  const bool stays = program_.pid != 0 && slirp && !FirstOnIpv6(ports_) && TRY(Withdraw());
  if (!stays) program_.End();
  auto missing = ports_;
  if (stays) std::erase_if(missing, [&](const auto& port) { return program_.published.contains(port); });
  // What was given up here is given up by now: two services may change places.
  const auto free = AwaitFree(missing, patience);
  if (stays) return free ? PublishAll() : free;
  const auto launched = free ? Launch() : free;
  ::eventfd_write(stop_.get(), 1);
  return launched;
}

std::vector<spec::PortForward> UserspaceNetwork::Published() {
  const std::lock_guard lock(mutex_);
  if (program_.pid == 0) return {};
  if (running_ == spec::NatBackend::kPasta) return ports_;  // it has all of them, or ends
  std::vector<spec::PortForward> published;
  for (const auto& [port, number] : program_.published) published.push_back(port);
  return published;
}

// For the link that goes: slirp4netns(1) does not notice.
Result<> UserspaceNetwork::Watch() {
  return InNamespace(place_.network, "link", [this]() -> Result<> {
    look_ = TRY(Netlink::Open(NETLINK_ROUTE));
    events_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
    sockaddr_nl address{};
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK;
    if (!events_ || ::bind(events_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return FailSys("listen for changes of", "links");
    return {};
  });
}

// Takes all events there are; what counts is what is there by now.
bool UserspaceNetwork::LostLink() {
  std::array<char, 4096> event{};
  while (::recv(events_.get(), event.data(), event.size(), 0) > 0 || errno == EINTR || errno == ENOBUFS) {
  }
  const auto link = GetLink(*look_, kUserspaceLink);
  return link && !*link;
}

// Starts it again when it dies, with longer and longer rests.
void UserspaceNetwork::Keep() {
  constexpr int kShortest = 100, kLongest = 10'000;  // ms
  constexpr std::chrono::seconds kGood{10};          // whoever lived so long may be started at once
  HoldSignals();
  int rest = kShortest;
  bool told = false;
  auto started = std::chrono::steady_clock::now();
  std::unique_lock lock(mutex_);
  while (!end_) {
    const bool runs = program_.pid != 0;
    // Its own, so that it stays what it is while nobody holds the lock.
    const sys::Fd process(runs ? ::fcntl(program_.process.get(), F_DUPFD_CLOEXEC, 0) : -1);
    lock.unlock();
    std::array<pollfd, 3> entries{pollfd{stop_.get(), POLLIN, 0}, pollfd{process.get(), POLLIN, 0},
                                  pollfd{runs ? events_.get() : -1, POLLIN, 0}};
    const int ready = ::poll(entries.data(), entries.size(), runs ? -1 : rest);
    eventfd_t count = 0;
    if (entries[0].revents != 0) ::eventfd_read(stop_.get(), &count);
    lock.lock();
    if (count != 0 || ready < 0) continue;
    const bool lost = entries[2].revents != 0 && LostLink();
    if (runs && entries[1].revents == 0 && !lost) continue;
    if (runs) {
      program_.End();
      program_.published.clear();
      if (std::chrono::steady_clock::now() - started < kGood) continue;  // a rest first
      rest = kShortest;
    } else if (program_.pid != 0) {
      continue;  // somebody else has
    }
    rest = std::min(rest * 2, kLongest);
    started = std::chrono::steady_clock::now();
    const auto again = Launch();
    if (again.has_value() == told) tell_(again ? nullptr : &again.error());
    told = !again;
  }
}

Result<std::unique_ptr<UserspaceNetwork>> UserspaceNetwork::Start(const sys::Fd& network, spec::NatBackend backend,
                                                                  std::vector<spec::PortForward> ports, bool v6,
                                                                  const std::string& directory, Tell tell) {
  UserspacePlace place{TRY(Above(network, 3, "network namespace")),
                       TRY(sys::Open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC)), directory, v6 && HasIpv6()};
  std::unique_ptr<UserspaceNetwork> made(
      new UserspaceNetwork(std::move(place), backend, std::move(ports), std::move(tell)));
  made->stop_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!made->stop_) return FailSys("eventfd", "user-space network");
  TRY(made->Watch());
  TRY(made->Launch());
  try {
    made->keeper_ = std::thread([keeper = made.get()] { keeper->Keep(); });
  } catch (const std::system_error&) {
    return Fail(ErrorCode::kSystem, "start", "a thread", "there is no room for one");
  }
  return made;
}

UserspaceNetwork::~UserspaceNetwork() {
  if (keeper_.joinable()) {
    {
      const std::lock_guard lock(mutex_);
      end_ = true;
    }
    ::eventfd_write(stop_.get(), 1);
    keeper_.join();
  }
  program_.End();
  RemoveTraces(place_);
}

}  // namespace nucleus::netns
