#include "cli/signals.hpp"

#include <sys/eventfd.h>

#include <cerrno>
#include <csignal>

#include "actuators/sys/pending_signals.hpp"

namespace nucleus::cli {

namespace {

// A signal handler has no argument through which a context could come; this is the only state it touches.
std::atomic<bool> interrupted{false};
std::atomic<int> first{0};
std::atomic<bool> reread{false};
std::atomic<int> wake{-1};  // an eventfd; none where nobody stays
static_assert(std::atomic<bool>::is_always_lock_free, "touched by a signal handler");

void Wake() {
  const int err = errno;
  if (const int fd = wake.load(); fd >= 0) ::eventfd_write(fd, 1);
  errno = err;
}

void Note(int signal) {
  int none = 0;
  first.compare_exchange_strong(none, signal);
  interrupted.store(true);
  Wake();
}
void NoteReread(int) {
  reread.store(true);
  Wake();
}
void Nothing(int) {}

void Install(int signal, void (*handler)(int), int flags) {
  struct sigaction action{};
  action.sa_handler = handler;
  action.sa_flags = flags;
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, nullptr);
}

}  // namespace

void CatchSignals() {
  // SA_RESETHAND: the default action, which ends us, is back for the second one. No SA_RESTART: a question at the
  // terminal and a sleep are to end.
  Install(SIGINT, Note, static_cast<int>(SA_RESETHAND));
  Install(SIGTERM, Note, static_cast<int>(SA_RESETHAND));
  if (wake.load() < 0 && !sys::IsIgnored(SIGHUP)) Install(SIGHUP, Note, static_cast<int>(SA_RESETHAND));
  Install(SIGPIPE, Nothing, SA_RESTART);
}

Result<int> CatchSignalsToStay() {
  if (wake.load() < 0) wake.store(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.load() < 0) return FailSys("eventfd", "signals");
  CatchSignals();
  Install(SIGHUP, NoteReread, SA_RESTART);
  return wake.load();
}

bool TakeReread() {
  eventfd_t ignored = 0;
  if (wake.load() >= 0) ::eventfd_read(wake.load(), &ignored);
  return reread.exchange(false);
}

const std::atomic<bool>& Interrupted() {
  return interrupted;
}
int InterruptedBy() {
  return first.load();
}

}  // namespace nucleus::cli
