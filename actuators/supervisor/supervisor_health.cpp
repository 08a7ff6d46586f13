// When a workload is probed, and what follows from what the probe says.
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "actuators/process/running.hpp"
#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "spec/core/text.hpp"

namespace nucleus::process {

namespace {

std::string ProbeText(const decltype(spec::HealthCheck::probe)& probe) {
  if (const auto* http = std::get_if<spec::HttpProbe>(&probe))
    return "http " + std::to_string(http->port) + " " + Printable(http->path);
  if (const auto* tcp = std::get_if<spec::TcpProbe>(&probe)) return "tcp " + std::to_string(tcp->port);
  const auto& argv = std::get<spec::CommandProbe>(probe).argv;
  const bool shell = argv.size() == 3 && argv[0] == "/bin/sh" && argv[1] == "-c";
  std::string words = shell ? argv[2] : "";
  for (std::size_t i = 0; !shell && i < argv.size(); ++i) words += (i == 0 ? "" : " ") + argv[i];
  constexpr std::size_t kMost = 200;
  if (words.size() > kMost) words = words.substr(0, kMost) + "...";
  return "'" + Printable(words) + "'";
}

}  // namespace

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
    return AttendProbe();
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
      TellUnhealthy("it is restarted");
      return BeginStop(Intent::kRestart);
    case spec::OnUnhealthy::kStop:
      TellUnhealthy("it is stopped");
      return BeginStop(Intent::kGiveUp);
    case spec::OnUnhealthy::kNone:
      if (changed) TellUnhealthy("it goes on");
      return;
  }
}

// In the foreground there is nobody else who would see why the workload ends.
void Supervisor::TellUnhealthy(std::string_view then) const {
  if (!hear_) return;
  const std::string times = std::to_string(status_.probe_failures) + (status_.probe_failures == 1 ? " time" : " times");
  hear_("the health check, " + ProbeText(policy_.health.probe) + ", failed " + times +
        " in a row: " + status_.probe_output + "; " + std::string(then));
}

}  // namespace nucleus::process
