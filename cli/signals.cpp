#include "cli/signals.hpp"

#include <csignal>

namespace nucleus::cli {

namespace {

// A signal handler has no argument through which a context could come; this is the only state it touches.
std::atomic<bool> interrupted{false};
std::atomic<int> first{0};
static_assert(std::atomic<bool>::is_always_lock_free, "touched by a signal handler");

void Note(int signal) {
  int none = 0;
  first.compare_exchange_strong(none, signal);
  interrupted.store(true);
}
void Nothing(int) {}

void Install(int signal, void (*handler)(int), int flags) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

// nohup(1): who was told to outlive the terminal does.
bool IsIgnored(int signal) {
  struct sigaction action{};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void CatchSignals() {
  // SA_RESETHAND: the default action, which ends us, is back for the second one. No SA_RESTART: a question at the
  // terminal and a sleep are to end.
  Install(SIGINT, Note, static_cast<int>(SA_RESETHAND));
  Install(SIGTERM, Note, static_cast<int>(SA_RESETHAND));
  if (!IsIgnored(SIGHUP)) Install(SIGHUP, Note, static_cast<int>(SA_RESETHAND));
  Install(SIGPIPE, Nothing, SA_RESTART);
}

const std::atomic<bool>& Interrupted() {
  return interrupted;
}
int InterruptedBy() {
  return first.load();
}

}  // namespace nucleus::cli
