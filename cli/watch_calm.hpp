// When a watch looks, and when it tries again what was in vain. Pure: times are given, in milliseconds of a clock that
// never goes back.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>

#include "spec/core/hash.hpp"

namespace nucleus::cli {

class WatchCalm {
 public:
  using Millis = std::int64_t;

  static constexpr Millis kQuiet = 100;           // after the last event: they come in flocks
  static constexpr Millis kLongestFlock = 1'000;  // after the first one
  static constexpr Millis kShare = 10;            // of the time a tenth at most is spent with looking
  static constexpr Millis kFirstWait = 1'000;
  static constexpr Millis kLongestWait = 60'000;
  static constexpr Millis kForgetAfter = 5 * kLongestWait;

  // recheck: how long nothing may be looked at, for what there are no events of; 0: for ever.
  explicit WatchCalm(Millis recheck) : recheck_(recheck) {}

  void Heard(Millis now) {
    if (!first_event_) first_event_ = now;
    last_event_ = now;
  }

  void Looked(Millis began, Millis ended) {
    first_event_.reset();
    not_before_ = ended + kShare * (ended - began);
    recheck_at_ = ended + recheck_;
  }

  // Work is done: again and again the same less and less often, whether it fails or does not last.
  [[nodiscard]] bool MayTry(const Digest& work, Millis now) const {
    const auto tried = tried_.find(work);
    return tried == tried_.end() || now >= tried->second.again;
  }
  void Tried(const Digest& work, Millis now) {
    std::erase_if(tried_, [&](const auto& entry) { return now - entry.second.again > kForgetAfter; });
    Trial& trial = tried_[work];
    trial.wait = std::clamp(trial.wait * 2, kFirstWait, kLongestWait);
    trial.again = now + trial.wait;
  }
  // There is work that may not be tried yet.
  void Await(const Digest& work) { try_at_ = tried_.at(work).again; }
  void AwaitNothing() { try_at_ = 0; }
  // Somebody has done something about it.
  void Forget() { tried_.clear(); }

  // Nothing has been looked at for so long.
  [[nodiscard]] bool Rechecks(Millis now) const { return recheck_ > 0 && now >= recheck_at_; }
  // When to look next; none: when there is an event.
  [[nodiscard]] std::optional<Millis> Next() const {
    std::optional<Millis> next;
    const auto sooner = [&](Millis at) { next = std::min(next.value_or(at), at); };
    if (first_event_) sooner(std::max(std::min(last_event_ + kQuiet, *first_event_ + kLongestFlock), not_before_));
    if (recheck_ > 0) sooner(recheck_at_);
    if (try_at_ > 0) sooner(try_at_);
    return next;
  }

 private:
  struct Trial {
    Millis wait = 0;
    Millis again = 0;
  };

  Millis recheck_;
  Millis recheck_at_ = 0;
  Millis try_at_ = 0;  // 0: nothing waits to be tried
  std::optional<Millis> first_event_;
  Millis last_event_ = 0;
  Millis not_before_ = 0;
  std::map<Digest, Trial> tried_;
};

}  // namespace nucleus::cli
