// How an apply comes along, on standard error: on a terminal a live view (a line with the elapsed time for each step
// that runs, finished ones scroll away above), plain lines elsewhere. With jsonl every event is a line of the result.
// Threads: On() is called by the executor's threads one at a time; a thread of our own moves the clock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <thread>

#include "cli/console.hpp"
#include "cli/session.hpp"
#include "reconcile/executor.hpp"
#include "reconcile/plan.hpp"

namespace nucleus::cli {

class Progress {
 public:
  Progress(Console& console, const reconcile::Plan& plan, OutputForm form, bool verbose);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void On(const reconcile::Event& event);
  // No more events: takes the live view away.
  void Finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Running {
    Clock::time_point since;
    std::string text;
  };

  void OnLive(const reconcile::Event& event);
  void OnPlain(const reconcile::Event& event);
  // The line that stays of a step that has ended; empty: none.
  std::string EndLine(const reconcile::Event& event);
  void Redraw(const std::string& scrolled);
  void Tick();
  void TellInterrupted();

  Console& console_;
  const reconcile::Plan& plan_;
  OutputForm form_;
  bool verbose_;
  bool live_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool finished_ = false;
  bool told_ = false;  // of the interrupt
  std::size_t ended_ = 0;
  std::size_t drawn_ = 0;
  std::map<std::uint32_t, Running> running_;
  std::thread ticker_;
};

}  // namespace nucleus::cli
