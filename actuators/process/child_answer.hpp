// What a child says over its channel on the way to exec, as its parent hears it. Private to actuators/process.
#pragma once

#include <optional>

#include "actuators/process/child_data.hpp"
#include "actuators/process/child_listener.hpp"

namespace nucleus::process {

// What the child writes: its root is built, and hooks may run; nothing but exec is left to do. It then waits.
inline constexpr char kBuilt = '=', kReady = '+', kReadyInChroot = '~';

// Until exec or death closes the child's end.
struct ChildAnswer {
  bool ready = false;
  bool in_chroot = false;
  bool failed = false;
  bool late = false;
  std::optional<Error> refused;  // by who looked at it
  Failure failure;
};

// Who looks at a child that waits: what it says decides whether the child may go on.
struct Looks {
  const Inspection& built;
  const Inspection& inspect;
  SharedWord* go = nullptr;
};

// patience_ms: for each part of the way between two looks.
ChildAnswer ReadAnswer(const sys::Fd& channel, ListenerWait& listener, const Looks& looks, int patience_ms, pid_t pid);

Result<> GoOn(const sys::Fd& channel);

}  // namespace nucleus::process
