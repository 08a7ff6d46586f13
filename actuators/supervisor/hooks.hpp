// OCI hooks of one container: programs of the machine, told its state on standard input. runtime.md, "Lifecycle", and
// config.md, "POSIX-platform Hooks", of the OCI runtime specification.
//
//     createRuntime    in our namespaces, once the container's are made, before its root is
//     createContainer  in the container's namespaces, the root of which is still the machine's
//     startContainer   inside, as the workload: its identity, limits and confinement, a program of its root
//     poststart        in our namespaces, once the workload runs
//     poststop         in our namespaces, once it has ended, or could not be started after createRuntime
//
// The program has the environment that its hook says and nothing else; startContainer aside, it is one that only root
// could have put there (sys/trusted.hpp), in a control group of its own, "hook/N" below the container's. One that takes
// longer than its time, or fails, is killed with all that it has started, and nothing else. The one that runs is waited
// for.
#pragma once

#include <poll.h>

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "actuators/process/child.hpp"

namespace nucleus::process {

enum class HookPoint : std::uint8_t { kCreateRuntime, kCreateContainer, kStartContainer, kPoststart, kPoststop };

// As poll(2), for who has something else to attend to meanwhile.
using HookWait = std::function<int(std::span<pollfd> polls, int timeout_ms)>;

struct HookSubject {
  const Launch& launch;
  const std::string& directory;  // of the container: its bundle
  pid_t pid = 0;                 // of its first process; 0: it has ended
  std::uint32_t restarts = 0;
  bool foreground = false;  // SIGHUP asks for an end
  bool grouped = true;      // the container's control group is still its own
  HookWait wait{};
  const int* ended_by =
      nullptr;  // a signal by which somebody asked for an end and that is no longer held back; 0: none
};

// What failed, in words. Those before the workload: until the first that fails. Those after it: all of them. Once
// somebody asks for an end it is the last (kInterrupted), but poststop is what comes at the end.
std::vector<Error> RunHooks(HookPoint point, const HookSubject& subject);

// After the container has ended: what hooks have left running, and their control group.
void EndHooks(const Launch& launch);

}  // namespace nucleus::process
