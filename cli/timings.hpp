// Where the time of an apply went: the phases it passes through, and the steps by their kind.
// Threads: On() is called by the executor's threads one at a time; everything else by the caller's.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "reconcile/executor.hpp"
#include "reconcile/plan.hpp"

namespace nucleus::cli {

class Timings {
 public:
  using Clock = std::chrono::steady_clock;
  using Took = std::chrono::microseconds;

  // A phase lasts as long as this lives.
  class Phase {
   public:
    Phase(Timings& timings, std::string_view name) : timings_(timings), name_(name), begin_(Clock::now()) {}
    ~Phase() { timings_.phases_.emplace_back(name_, std::chrono::duration_cast<Took>(Clock::now() - begin_)); }
    Phase(const Phase&) = delete;
    Phase& operator=(const Phase&) = delete;

   private:
    Timings& timings_;
    std::string_view name_;
    Clock::time_point begin_;
  };
  [[nodiscard]] Phase Time(std::string_view name) { return {*this, name}; }

  // Notes the steps that have been done.
  void On(const reconcile::Plan& plan, const reconcile::Event& event);

  // A table for people. Of steps the sum is over all that ran at once, so it may be more than the phase took.
  [[nodiscard]] std::string Text() const;

 private:
  std::vector<std::pair<std::string_view, Took>> phases_;
  std::map<std::string, std::vector<Took>> steps_;  // "apply netns" -> of each
};

}  // namespace nucleus::cli
