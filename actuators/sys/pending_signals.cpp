#include "actuators/sys/pending_signals.hpp"

#include <chrono>
#include <csignal>
#include <system_error>

namespace nucleus::sys {

namespace {

constexpr std::chrono::milliseconds kPause{100};

}  // namespace

bool IsIgnored(int signal) {
  struct sigaction action{};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

int PendingEnd(bool hang_up, int also) {
  sigset_t pending;
  ::sigemptyset(&pending);
  if (::sigpending(&pending) != 0) return 0;
  for (const int signal : {SIGINT, SIGTERM, also, SIGHUP, SIGQUIT}) {
    if (signal == 0) continue;
    if (!hang_up && (signal == SIGHUP || signal == SIGQUIT)) continue;
    if (!IsIgnored(signal) && ::sigismember(&pending, signal) == 1) return signal;
  }
  return 0;
}

PendingSignals::PendingSignals(bool hang_up, int also) : hang_up_(hang_up), also_(also) {
  try {
    watch_ = std::jthread([this] { Watch(); });
  } catch (const std::system_error&) {
    // What came before is all there will be.
    come_ = PendingEnd(hang_up_, also_) != 0;
  }
}

PendingSignals::~PendingSignals() {
  {
    const std::lock_guard lock(mutex_);
    finished_ = true;
  }
  wake_.notify_one();
}

void PendingSignals::Watch() {
  std::unique_lock lock(mutex_);
  do {
    come_ = PendingEnd(hang_up_, also_) != 0;
    come_.notify_all();
  } while (!come_ && !wake_.wait_for(lock, kPause, [this] { return finished_; }));
}

}  // namespace nucleus::sys
