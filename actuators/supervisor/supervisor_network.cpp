// The program that helps with the network: there before the workload is, and for as long as the supervisor; started
// again when it dies. What it says is in the status file.
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <optional>

#include "actuators/process/stop_signal.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/denial_count.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"
#include "spec/core/units.hpp"
#include "state/parts/network_order.hpp"

namespace nucleus::process {

namespace {

constexpr Millis kShortestRestMs = 100, kLongestRestMs = 10'000;
constexpr Millis kStableMs = 10'000;    // whoever lived so long may be started at once
constexpr Millis kPatienceMs = 60'000;  // for its first word: it looks up names
constexpr Millis kDenialsMs = 300'000;  // between looks: a counter has no event

// Without its program nothing is published.
std::string FailedNetwork(std::string digest, std::string serial, std::string why) {
  return NetworkState{std::move(digest), std::move(serial), std::move(why), std::vector<std::string>()}.Text();
}

// Of all that is held back, what matters while there is no workload: the others wait for it.
Result<sys::Fd> ListenBeforeWorkload() {
  sigset_t wanted;
  ::sigemptyset(&wanted);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, StopSignal()}) ::sigaddset(&wanted, signal);
  sys::Fd fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return FailSys("signalfd", "network");
  return fd;
}

// What rules had denied that are gone since; told once.
std::optional<std::uint64_t> TakeDenied(const std::string& path) {
  const auto text = sys::ReadFileIfThere(path);
  if (!text || !*text) return std::nullopt;
  ::unlink(path.c_str());
  const auto packets = ParseUnsigned(**text);
  return packets ? std::optional(*packets) : std::nullopt;
}

}  // namespace

// Starts it, has it read its file again, or ends it, as the file says. Errors: it cannot be started.
Result<> Supervisor::TakeNetwork() {
  const auto text = TRY(sys::ReadFileIfThere(directory_ + "/" + std::string(kNetworkFile)));
  status_.network.clear();
  network_at_ = 0;
  if (!text) {
    network_.reset();
    return {};
  }
  const auto order = TRY(ReadNetworkOrder(*text));
  if (network_) {
    network_->Reload();
    return {};
  }
  network_started_ = Now();
  auto started = NetworkHelper::Start(order.program, directory_);
  if (started) {
    network_ = std::move(*started);
    return {};
  }
  const Error& error = started.error();
  status_.network = FailedNetwork(order.digest.Hex(), std::to_string(order.serial), error.Message());
  RestNetwork();
  return Fail(std::move(started).error());
}

// Before the workload is there: what it needs has to be so.
Result<> Supervisor::AwaitNetwork() {
  TRY(TakeNetwork());
  const sys::Fd signals = TRY(ListenBeforeWorkload());
  const Millis end = Now() + kPatienceMs;
  while (network_ && status_.network.empty()) {
    const Millis left = end - Now();
    if (left <= 0) return Fail(ErrorCode::kTimeout, "set up", "network", "its program does not say that it is ready");
    std::array<pollfd, 2> entries{pollfd{network_->output().get(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), static_cast<int>(left)) <= 0) continue;
    if (entries[0].revents != 0) HearNetwork();
    signalfd_siginfo info{};
    while (entries[1].revents != 0 && ::read(signals.get(), &info, sizeof info) == sizeof info) {
      if (info.ssi_signo != SIGHUP) return Fail(ErrorCode::kInterrupted, "set up", "network", "somebody asked to stop");
      ReloadPolicy();
    }
  }
  const auto state = ReadNetworkState(status_.network);
  if (state.why.empty()) return {};
  return Fail(ErrorCode::kSystem, "set up", "network", state.why);
}

void Supervisor::HearNetwork() {
  const std::string before = status_.network;
  for (const auto& line : network_->Read()) {
    if (line.starts_with("! ")) {
      if (log_) log_->Add(Stream::kError, "nucleus: " + line.substr(2) + "\n", UnixNow());
    } else {
      status_.network = line;
    }
  }
  if (network_->ended()) {
    const auto digest = ReadNetworkState(status_.network).digest;
    status_.network = FailedNetwork(digest, "0", "its program has ended, and is started again");
    network_.reset();
    RestNetwork();
  }
  if (status_.network != before && status_.supervisor.pid != 0) WriteStatus();
}

// What egress rules have denied since the last look is an event: never more of them than looks.
void Supervisor::LookForDenials(bool tell) {
  if (!events_ || launch_.netns.empty()) return;  // in the foreground nobody reads of it
  // That of rules that are gone comes after them, and is asked for before those that there are.
  if (const auto last = TakeDenied(directory_ + "/" + std::string(kDeniedFile))) {
    CountDenied(*last, tell);
    denied_ = 0;
  }
  const auto packets = DeniedPackets(launch_.netns);
  // Those that are gone are made again. Where there were none whoever makes some has the policy read again.
  if (packets || look_for_denials_at_ != 0) look_for_denials_at_ = Now() + kDenialsMs;
  if (packets) CountDenied(*packets, tell);
}

void Supervisor::CountDenied(std::uint64_t packets, bool tell) {
  if (packets < denied_) denied_ = 0;  // somebody has made the rules anew
  if (tell && packets > denied_)
    Note("egress-denied packets=" + std::to_string(packets - denied_) + " total=" + std::to_string(packets));
  denied_ = packets;
}

void Supervisor::RestNetwork() {
  network_rest_ = Now() - network_started_ < kStableMs
                      ? std::min(std::max(network_rest_ * 2, kShortestRestMs), kLongestRestMs)
                      : kShortestRestMs;
  network_at_ = Now() + network_rest_;
}

}  // namespace nucleus::process
