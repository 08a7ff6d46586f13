// What a supervisor decides, without doing anything: when to restart, when to probe, what a probe's result means.
// Pure: times are given, in milliseconds of a clock that never goes back.
#pragma once

#include <algorithm>
#include <cstdint>

#include "state/parts/crash_loop.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

using Millis = std::int64_t;

// The wait before the next start: doubled at each restart, from the start again once it ran long enough.
class Backoff {
 public:
  Millis Next(const Policy& policy, Millis ran_for) {
    if (ran_for >= kStableAfterMs || current_ == 0)
      current_ = std::max<Millis>(policy.backoff_first_ms, 1);
    else
      current_ *= 2;
    current_ = std::min<Millis>(current_, std::max<Millis>(policy.backoff_max_ms, 1));
    return current_;
  }

 private:
  Millis current_ = 0;
};

// Whether a workload that ended by itself is started again. A job that ended with 0 is complete.
inline bool ShouldRestart(const Policy& policy, bool job, int exit_code) {
  switch (policy.restart) {
    case spec::RestartPolicy::kNo:
      return false;
    case spec::RestartPolicy::kOnFailure:
      return exit_code != 0;
    case spec::RestartPolicy::kAlways:
      return !job || exit_code != 0;
  }
  return false;
}

// Probes of one run of a workload. Until it is healthy for the first time it is probed in quick succession, so that
// whoever waits for it learns of it soon; but failures count against `retries` only once per interval, and not before
// start_period is over.
class HealthTracker {
 public:
  void Start(const spec::HealthCheck& check, Millis now) {
    check_ = check;
    state_ = Status::Health::kStarting;
    failures_ = 0;
    quick_ = kFirstQuickMs;
    next_ = now + std::min(quick_, Interval());
    count_from_ = now + std::max<Millis>(check.start_period.count(), Interval());
  }
  // New settings while it runs: what is known so far stays.
  void Change(const spec::HealthCheck& check, Millis now) {
    check_ = check;
    next_ = std::min(next_, now + Interval());
  }

  // Nothing can be told now, as while it stands still.
  void Postpone(Millis now) { next_ = now + Interval(); }

  // Takes the result of a probe. True: the state has changed.
  bool Result(bool healthy, Millis now) {
    const auto before = state_;
    if (healthy) {
      state_ = Status::Health::kHealthy;
      failures_ = 0;
    } else if (state_ != Status::Health::kStarting || now >= count_from_) {
      ++failures_;
      count_from_ = now + Interval();
      if (failures_ >= std::max(check_.retries, 1U)) state_ = Status::Health::kUnhealthy;
    }
    const bool starting = state_ == Status::Health::kStarting;
    next_ = now + (starting ? std::min(quick_, Interval()) : Interval());
    if (starting) quick_ = std::min(quick_ * 2, kLastQuickMs);
    return state_ != before;
  }

  [[nodiscard]] Millis next() const { return next_; }
  [[nodiscard]] Status::Health state() const { return state_; }
  [[nodiscard]] std::uint32_t failures() const { return failures_; }

 private:
  static constexpr Millis kFirstQuickMs = 50;
  static constexpr Millis kLastQuickMs = 1'000;
  [[nodiscard]] Millis Interval() const { return std::max<Millis>(check_.interval.count(), 1); }

  spec::HealthCheck check_;
  Status::Health state_ = Status::Health::kNone;
  std::uint32_t failures_ = 0;
  Millis quick_ = kFirstQuickMs;
  Millis next_ = 0;
  Millis count_from_ = 0;
};

}  // namespace nucleus::process
