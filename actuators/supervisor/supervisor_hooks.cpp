// When the hooks of a container run, and what comes of one that fails.
#include <algorithm>
#include <array>
#include <vector>

#include "actuators/supervisor/clock.hpp"
#include "actuators/supervisor/supervisor.hpp"

namespace nucleus::process {

// Of those before the workload: an error is that of its start.
Result<> Supervisor::RunHooksBefore(HookPoint point, pid_t pid) {
  hooks_begun_ = true;
  auto failures = RunHooks(
      point,
      {.launch = launch_, .directory = directory_, .pid = pid, .restarts = status_.restarts, .foreground = attached_});
  if (failures.empty()) return {};
  return Fail(std::move(failures.front()));
}

// Of those after it: the others run all the same, and the container goes on.
void Supervisor::RunHooksAfter(HookPoint point) {
  HookSubject subject{
      .launch = launch_, .directory = directory_, .restarts = status_.restarts, .foreground = attached_};
  subject.pid = workload_ ? workload_->pid : 0;
  subject.grouped = OwnsDirectory();  // else the group may be another's by now
  if (workload_) {
    subject.wait = [this](std::span<pollfd> polls, int timeout_ms) { return WaitBeside(polls, timeout_ms); };
    subject.ended_by = &ended_by_;
  }
  const auto failures = RunHooks(point, subject);
  for (const Error& failure : failures) Tell(failure.Message());
}

// As poll(2). The workload meanwhile can write and say that it is ready, and its calls are answered.
int Supervisor::WaitBeside(std::span<pollfd> polls, int timeout_ms) {
  constexpr std::size_t kOwn = 4;
  std::array<pollfd, kOwn + TerminalRelay::kPolls> own{};
  for (auto& poll : own) poll.fd = -1;
  own[0] = {.fd = out_.get(), .events = POLLIN, .revents = 0};
  own[1] = {.fd = error_.get(), .events = POLLIN, .revents = 0};
  own[2] = {.fd = answers_ ? answers_->fd() : -1, .events = POLLIN, .revents = 0};
  if (hear_at_ != 0 && Now() >= hear_at_) hear_at_ = 0;
  own[3] = {.fd = notify_ && hear_at_ == 0 ? notify_->fd() : -1, .events = POLLIN, .revents = 0};
  const auto relayed = std::span(own).last<TerminalRelay::kPolls>();
  if (relay_) relay_->Watch(relayed);
  std::vector<pollfd> all(own.begin(), own.end());
  all.insert(all.end(), polls.begin(), polls.end());
  if (::poll(all.data(), all.size(), timeout_ms) < 0) return -1;
  std::copy_n(all.begin(), own.size(), own.begin());
  std::copy_n(all.begin() + static_cast<std::ptrdiff_t>(own.size()), polls.size(), polls.begin());
  if (relay_) PumpTerminal(relayed);
  if (own[0].revents != 0) Drain(out_, Stream::kOut, false);
  if (own[1].revents != 0) Drain(error_, Stream::kError, false);
  if (own[2].revents != 0) ServeCalls();
  if (own[3].revents != 0) HearWorkload();
  return static_cast<int>(std::ranges::count_if(polls, [](const pollfd& poll) { return poll.revents != 0; }));
}

// Once for each time that a container was made.
void Supervisor::RunPoststop() {
  if (!std::exchange(hooks_begun_, false)) return;
  RunHooksAfter(HookPoint::kPoststop);
  if (OwnsDirectory()) EndHooks(launch_);
}

}  // namespace nucleus::process
