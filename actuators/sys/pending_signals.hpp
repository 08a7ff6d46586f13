// Whether a signal that is to end us has come, while such signals are held back (blocked): sigpending(2).
//
// For work that takes long and can be given up, but not in the middle of a call. A thread looks ten times a second; it
// ends with the object, before anything may be cloned. Signals are not taken: who reads them afterwards still finds
// them. One that is ignored does not count; nohup(1).
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace nucleus::sys {

// SIGINT, SIGTERM or `also`, where that is one; with hang_up also SIGHUP or SIGQUIT, which mean something else to who
// has no terminal. 0: none has come.
int PendingEnd(bool hang_up, int also = 0);

// Whether we ignore it; who was started so by nohup(1), or in the background by a shell without job control, goes on
// doing it.
bool IsIgnored(int signal);

class PendingSignals {
 public:
  explicit PendingSignals(bool hang_up, int also = 0);
  ~PendingSignals();
  PendingSignals(const PendingSignals&) = delete;
  PendingSignals& operator=(const PendingSignals&) = delete;

  // Set once one has come; as long as this lives.
  [[nodiscard]] const std::atomic<bool>* come() const { return &come_; }

 private:
  void Watch();

  bool hang_up_;
  int also_;
  std::atomic<bool> come_ = false;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool finished_ = false;
  std::jthread watch_;  // the last member: the first to go
};

}  // namespace nucleus::sys
