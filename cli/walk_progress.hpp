// Says on a terminal, from one second on, how far walks through a tree have come, in one line that is taken away at the
// end. On what is no terminal it says nothing. A thread draws it while this lives; nothing else may write there
// meanwhile.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "attest/walk.hpp"
#include "cli/console.hpp"

namespace nucleus::cli {

class WalkProgress {
 public:
  // doing: "verifying", for as long as the counters do not say what.
  WalkProgress(Console& console, std::string doing);
  ~WalkProgress() { Finish(); }
  WalkProgress(const WalkProgress&) = delete;
  WalkProgress& operator=(const WalkProgress&) = delete;

  attest::Progress* counters() { return &counters_; }
  // The line is gone, and the thread.
  void Finish();

 private:
  void Tick();

  Console& console_;
  const std::string doing_;
  attest::Progress counters_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool finished_ = false;
  std::jthread ticker_;
};

}  // namespace nucleus::cli
