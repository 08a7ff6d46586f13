// Waiting for what a supervisor says in its status file, and explaining what it says where that is bad.
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <limits>
#include <optional>

#include "actuators/process/apply.hpp"
#include "actuators/process/log.hpp"
#include "actuators/process/probe.hpp"
#include "state/parts/crash_loop.hpp"

namespace nucleus::process {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLogLines = 20;

enum class Progress { kReached, kWaiting, kHopeless };

std::int64_t UnixNow() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// It was executed, and has yet to become ready.
bool Awaited(const Status& status) {
  return status.readiness == Status::Readiness::kWaiting;
}

// Milliseconds until one that runs counts as started.
std::int64_t LeftToSettle(const Status& status) {
  return status.started_ms + kSettled.count() - UnixNow();
}

// Whether nothing but time is missing: whatever happens meanwhile is there to be seen afterwards. A job has started as
// soon as it has completed, which may be before.
bool OnlySettles(const Found& found, Milestone milestone, bool job) {
  return !job && milestone == Milestone::kStarted && found.status && found.status->state == Status::State::kRunning &&
         !Awaited(*found.status);
}

// A service that has ended does not run, however it ended; a job has started once it has completed.
Progress OfEnded(const Status& status, Milestone milestone, bool job) {
  const bool good = status.state == Status::State::kExited && status.exit_code == 0;
  switch (milestone) {
    case Milestone::kExecuted:
      return status.started_ms != 0 && !Awaited(status) ? Progress::kReached : Progress::kHopeless;
    case Milestone::kCompleted:
    case Milestone::kStarted:
      return good && job ? Progress::kReached : Progress::kHopeless;
    case Milestone::kHealthy:
      return Progress::kHopeless;
  }
  return Progress::kHopeless;
}

Progress OfRunning(const Status& status, Milestone milestone) {
  if (Awaited(status)) return Progress::kWaiting;
  switch (milestone) {
    case Milestone::kExecuted:
      return Progress::kReached;
    case Milestone::kStarted:
      return LeftToSettle(status) <= 0 ? Progress::kReached : Progress::kWaiting;
    case Milestone::kHealthy:
      if (status.health == Status::Health::kHealthy) return Progress::kReached;
      return status.health == Status::Health::kUnhealthy ? Progress::kHopeless : Progress::kWaiting;
    case Milestone::kCompleted:
      return Progress::kWaiting;
  }
  return Progress::kWaiting;
}

Progress Judge(const Found& found, Milestone milestone, bool job) {
  if (!found.status) return found.supervisor != 0 ? Progress::kWaiting : Progress::kHopeless;
  const Status& status = *found.status;
  switch (status.state) {
    case Status::State::kExited:
    case Status::State::kFailed:
      return OfEnded(status, milestone, job);
    case Status::State::kRunning:
      return found.supervisor != 0 ? OfRunning(status, milestone) : Progress::kHopeless;
    case Status::State::kBackoff:
      if (milestone == Milestone::kExecuted && !Awaited(status)) return Progress::kReached;
      return found.supervisor == 0 || status.restarts >= kCrashLoop ? Progress::kHopeless : Progress::kWaiting;
    case Status::State::kStarting:
    case Status::State::kStopping:
      return found.supervisor != 0 ? Progress::kWaiting : Progress::kHopeless;
  }
  return Progress::kWaiting;
}

std::string Describe(const Found& found) {
  if (!found.status) return "its supervisor is gone";
  const Status& status = *found.status;
  std::string text;
  if (status.oom_killed) {
    text = "it was killed for want of memory (memory limit)";
  } else if (status.exit_code > 128) {
    text = "it was ended by " + SignalName(status.exit_code - 128);
  } else if (status.exit_code >= 0) {
    text = "it ended with exit status " + std::to_string(status.exit_code);
  } else if (found.supervisor == 0) {
    text = "its supervisor is gone";
  } else {
    text = "it is " + std::string(StateName(status.state)) + (Awaited(status) ? ", and not ready yet" : "");
  }
  if (status.restarts > 0) text += ", after " + std::to_string(status.restarts) + " restarts";
  if (!status.error.empty()) text += "; " + status.error;
  if (!status.words.empty()) text += "; it says: " + status.words;
  if (!status.probe_output.empty())
    text += "\n  last output of its " + std::string(Awaited(status) ? "readiness" : "health") +
            " check: " + status.probe_output;
  return text;
}

// What this run has written: the log goes on from run to run.
std::string LogOf(const std::string& directory, const Found& found) {
  std::string text;
  const auto entries = LastEntries(directory, kLogLines);
  if (!entries || !found.status || found.status->started_ms == 0) return text;
  for (const auto& entry : *entries) {
    if (entry.time_ms >= found.status->started_ms) text += "\n    " + Escaped(WithoutReturn(entry.text));
  }
  return text.empty() ? text : "\n  last lines of its log:" + text;
}

Error Explain(const PartKey& key, const std::string& directory, const Found& found, bool job) {
  const std::string text = Describe(found) + LogOf(directory, found);
  Error error = Error::Of(ErrorCode::kUnhealthy, "", key.address.Text(), text);
  const bool ended_well = found.status && found.status->exit_code == 0 && !job;
  return ended_well ? std::move(error).Hint("a service stays up; what runs to its end is a job: type = \"job\"")
                    : error;
}

// Woken when the status file is replaced. Without inotify it is looked at now and then all the same. Not made before it
// is waited on: the kernel takes longer to close one than most starts take (it waits until nobody reads its marks).
class Watch {
 public:
  explicit Watch(const std::string& directory) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (fd_) ::inotify_add_watch(fd_.get(), directory.c_str(), IN_MOVED_TO | IN_DELETE);
  }
  void Wait(std::int64_t at_most_ms) const {
    constexpr std::int64_t kLook = 100;
    pollfd poll{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&poll, 1, static_cast<int>(std::min(at_most_ms, kLook))) <= 0) return;
    std::array<char, 4096> events{};
    while (::read(fd_.get(), events.data(), events.size()) > 0) {
    }
  }

 private:
  sys::Fd fd_;
};

}  // namespace

Result<> ProcessActuator::Wait(const PartKey& process, const ProcessWanted& wanted, Milestone milestone,
                               Duration timeout) {
  std::optional<Watch> watch;
  const bool job = wanted.service && wanted.service->type == spec::ServiceType::kJob;
  const auto deadline = Clock::now() + timeout;
  while (true) {
    const Found found = TRY(Find(wanted.directory));
    switch (Judge(found, milestone, job)) {
      case Progress::kReached:
        return {};
      case Progress::kHopeless:
        return Fail(Explain(process, wanted.directory, found, job));
      case Progress::kWaiting:
        break;
    }
    std::int64_t left = std::numeric_limits<std::int64_t>::max();
    if (timeout != Duration{0}) {
      left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) {
        auto error = Explain(process, wanted.directory, found, job);
        error.code = ErrorCode::kTimeout;
        return Fail(std::move(error));
      }
    }
    if (OnlySettles(found, milestone, job)) {
      const auto settled = std::clamp<std::int64_t>(LeftToSettle(*found.status), 1, kSettled.count());
      ::usleep(static_cast<::useconds_t>(std::min(left, settled) * 1'000));
    } else if (watch) {
      watch->Wait(left);
    } else {
      watch.emplace(wanted.directory);  // and another look: what came before it is not told
    }
  }
}

}  // namespace nucleus::process
