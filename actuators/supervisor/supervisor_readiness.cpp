// When a workload is ready, and who is told.
#include <unistd.h>

#include <string>
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
