#include "actuators/supervisor/passed_signals.hpp"

#include <initializer_list>

namespace nucleus::process {

sigset_t PassedSignals() {
  sigset_t passed;
  ::sigfillset(&passed);
  for (const int other :
       {SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGKILL, SIGSTOP})
    ::sigdelset(&passed, other);
  return passed;
}

bool EndsByDefault(int signal) {
  return signal != SIGCONT && signal != SIGURG && signal != SIGWINCH;
}

}  // namespace nucleus::process
