// When a workload is probed, and what follows from what the probe says.
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "actuators/process/running.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/supervisor.hpp"

namespace nucleus::process {

// Until it is ready its health is not asked after.
bool Supervisor::MayProbe() const {
  const bool asked = AwaitsReadiness() ? policy_.has_readiness : policy_.has_health;
  return !probe_ && workload_ && asked && intent_ == Intent::kNone && !paused_;
}

// It is told of every change, whoever makes it.
void Supervisor::LookWhetherPaused() {
  std::array<char, 128> buffer{};
  const ssize_t size = group_events_ ? ::pread(group_events_.get(), buffer.data(), buffer.size(), 0) : -1;
  if (size < 0) group_events_.reset();  // the group was removed: poll would never wait again
  const bool paused = size > 0 && std::string_view(buffer.data(), static_cast<std::size_t>(size)).contains("frozen 1");
  if (paused == paused_ || !workload_) return;
  paused_ = paused;
  Note(paused ? "pause" : "unpause");
  if (paused) DropProbe();
  Tracker().Postpone(Now());
}

// What it would have said is of no account.
void Supervisor::DropProbe() {
  if (!probe_) return;
  probe_->Kill();
  probe_->Finish(true);
  probe_.reset();
}

void Supervisor::StartProbe() {
  if (IsPaused(launch_.cgroup) || IsHeldForCheckpoint(directory_)) return Tracker().Postpone(Now());
  const spec::HealthCheck& check = AwaitsReadiness() ? policy_.readiness : policy_.health;
  auto probe = HealthProbe::Start(launch_, check, workload_->pidfd, Now());
  if (probe) {
    probe_ = std::move(*probe);
    return;
  }
  if (IsPaused(launch_.cgroup)) return Tracker().Postpone(Now());
  // A probe that cannot be started is a failed one: the command may not be there.
  TakeResult(false, probe.error().Message());
}

void Supervisor::FinishProbe(bool timed_out) {
  auto outcome = probe_->Finish(timed_out);
  probe_.reset();
  if ((timed_out && IsPaused(launch_.cgroup)) || IsHeldForCheckpoint(directory_)) return Tracker().Postpone(Now());
  TakeResult(outcome.healthy, std::move(outcome.output));
}

void Supervisor::TakeResult(bool healthy, std::string output) {
  if (AwaitsReadiness()) {
    readiness_.Result(healthy, Now());
    if (healthy) return BecomeReady();
    if (std::exchange(status_.probe_output, std::move(output)) != status_.probe_output) WriteStatus();
    return;
  }
  const bool changed = health_.Result(healthy, Now());
  const bool news = changed || status_.probe_output != output || status_.probe_failures != health_.failures();
  const bool unhealthy = health_.state() == Status::Health::kUnhealthy;
  status_.health = health_.state();
  status_.probe_failures = health_.failures();
  status_.probe_output = std::move(output);
  if (changed)
    status_.error = unhealthy ? "health check failed " + std::to_string(health_.failures()) + " times in a row" : "";
  if (news) WriteStatus();
  if (changed) Note("health state=" + std::string(HealthName(status_.health)));
  // Not only when it becomes so: what is to be done then may have changed since.
  if (!unhealthy) return;
  switch (policy_.health.on_unhealthy) {
    case spec::OnUnhealthy::kRestart:
      return BeginStop(Intent::kRestart);
    case spec::OnUnhealthy::kStop:
      return BeginStop(Intent::kGiveUp);
    case spec::OnUnhealthy::kNone:
      return;
  }
}

}  // namespace nucleus::process
