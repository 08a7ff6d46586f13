// When a workload is ready, and who is told.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <string_view>
#include <utility>

#include "actuators/process/log.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/supervisor.hpp"

namespace nucleus::process {

// Before a start, so that the workload finds it; what another run has said is forgotten.
Result<> Supervisor::OpenNotifySocket() {
  if (!launch_.notify) return {};
  if (!notify_) notify_ = TRY(NotifySocket::Make(directory_));
  while (notify_->Receive()) {
  }
  return {};
}

// It has been executed.
void Supervisor::BeginReadiness() {
  const bool waits = launch_.notify || policy_.has_readiness;
  status_.readiness = waits ? Status::Readiness::kWaiting : Status::Readiness::kNone;
  status_.words.clear();
  if (policy_.has_readiness) readiness_.Start(policy_.readiness, started_);
  if (!waits) manager_.Tell(ReadyLines(::getpid()));
}

// The policy has changed. What is ready already stays so.
void Supervisor::ReconsiderReadiness() {
  if (!AwaitsReadiness() || launch_.notify) return;
  if (!policy_.has_readiness) return BecomeReady();
  readiness_.Change(policy_.readiness, Now());
}

void Supervisor::BecomeReady() {
  DropProbe();
  status_.readiness = Status::Readiness::kReady;
  status_.probe_output.clear();
  if (policy_.has_health) {
    health_.Start(policy_.health, Now());
    status_.health = health_.state();
  }
  WriteStatus();
  Note("ready");
  manager_.Tell(ReadyLines(::getpid()));
}

// A manager has a patience of its own, which may be less than the container's; the time is one from now.
void Supervisor::TellStopping(Millis patience) const {
  constexpr Millis kGrace = 10'000;  // in which what was killed ends
  manager_.Tell("STOPPING=1\nEXTEND_TIMEOUT_USEC=" + std::to_string((patience + kGrace) * 1'000) + "\n");
}

// A workload with a watchdog, sd_watchdog_enabled(3), says itself that it is alive. Between two runs there is none to
// say it, and it is to be started again by us, not by the manager.
void Supervisor::TellAlive(Millis now) {
  constexpr std::string_view kEvery = "WATCHDOG_USEC=";
  if (alive_at_ == 0 || now < alive_at_) return;
  alive_at_ = 0;
  const auto variable = std::ranges::find_if(launch_.env, [&](const auto& word) { return word.starts_with(kEvery); });
  if (!manager_.is_there() || variable == launch_.env.end()) return;
  std::int64_t every_us = 0;
  const char* end = variable->data() + variable->size();
  if (std::from_chars(variable->data() + kEvery.size(), end, every_us).ec != std::errc() || every_us <= 0) return;
  manager_.Tell("WATCHDOG=1\n");
  alive_at_ = now + std::max<Millis>(every_us / 2'000, 1);
}

// Some, then it rests: one that never stops talking must neither keep us from the rest nor have the manager's ear
// alone.
void Supervisor::HearWorkload() {
  constexpr int kMost = 8;
  constexpr Millis kRest = 50;
  constexpr std::size_t kMostWords = 1024;
  bool news = false;
  for (int i = 0; i < kMost; ++i) {
    const auto datagram = notify_->Receive();
    if (!datagram) break;
    const Notification said = ReadNotification(*datagram);
    if (!workload_) continue;
    if (!said.passed_on.empty()) manager_.Tell(said.passed_on);
    const std::string words = said.words ? Escaped(said.words->substr(0, kMostWords)) : status_.words;
    news |= std::exchange(status_.words, words) != words;
    if (said.ready && AwaitsReadiness()) {
      BecomeReady();
    } else if (said.ready) {
      manager_.Tell(ReadyLines(::getpid()));  // after a reload it says so once more
    }
  }
  hear_at_ = Now() + kRest;
  if (news) WriteStatus();
}

}  // namespace nucleus::process
