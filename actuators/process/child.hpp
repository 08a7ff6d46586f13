// From plain data to a running workload: what happens between clone and exec.
//
// Prepare() compiles a Launch into buffers (it allocates, checks, asks the kernel what it knows). Spawn() clones; the
// child then runs one interpreter over those buffers and makes system calls only: no allocation, no locks, no logging,
// no exceptions. What fails goes back over a CLOEXEC pipe as {step, call, index, errno} and becomes a full Error here:
//
//     mount /srv/db at /data (ro,nosuid): Operation not permitted (EPERM) <- open_tree
//
// The order in the child (child.cpp reads as this list): namespaces, root file system, pivot_root, mount audit, host
// name, working directory, limits, session, identity, capabilities, no_new_privs, Landlock, descriptors, seccomp, exec.
// Everything nucleus has to do itself is done before the seccomp program is loaded, but execve: where the policy denies
// that, the program asks about it, and the parent lets the first one through (docs/decisions/0013). The workload's open
// files are exactly 0, 1 and 2.
//
// The child dies with the thread that called Spawn() (PR_SET_PDEATHSIG), so call it from one that lives as long as the
// workload may. Threads: a Prepared is used by one thread at a time.
#pragma once

#include <sys/ioctl.h>
#include <sys/types.h>

#include <functional>
#include <memory>

#include "actuators/process/beside_thread.hpp"
#include "actuators/sys/fd.hpp"
#include "attest/walk.hpp"
#include "spec/core/error.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

struct Buffers;  // child_data.hpp

class Prepared {
 public:
  explicit Prepared(std::unique_ptr<Buffers> buffers);
  ~Prepared();
  Prepared(Prepared&&) noexcept;
  Prepared& operator=(Prepared&&) noexcept;
  [[nodiscard]] Buffers& buffers() const { return *buffers_; }

 private:
  std::unique_ptr<Buffers> buffers_;
};

int NamespacesOf(const Launch& launch);  // CLONE_NEW* that a process of the container is in, but for the pid namespace

// A whole container. kInvalid where the launch cannot be meant; kUnsupported where it asks for a protection that this
// kernel does not have and that was said to be required. The launch is the caller's as long as what was prepared is
// there, or handed over. walk: of trees that are copied or verified; kInterrupted where it was stopped.
Result<Prepared> Prepare(const Launch& launch, const attest::WalkOptions& walk = {});
Result<Prepared> Prepare(Launch&& launch, const attest::WalkOptions& walk = {});
// Another command in a running container of that launch: its identity, limits and confinement, but no set-up of a root.
// attended: the caller answers its calls, as the workload's; else nobody does, and they are neither traced nor named.
Result<Prepared> PrepareInside(const Launch& launch, const std::vector<std::string>& argv, bool attended = false);

// Standard files of the child; -1 is /dev/null. Stay owned by the caller.
struct Stdio {
  int in = -1, out = -1, err = -1;
  // Instead: a pseudoterminal of the container's own, pty(7), of that size; it is the session's controlling one.
  bool terminal = false;
  winsize size = {};
};

struct Running {
  pid_t pid = 0;
  sys::Fd pidfd;
  sys::Fd terminal{};  // the master's end, where one was asked for
  bool without_seccomp = false;
  std::vector<std::string> warnings{};  // protections that are missing, where the launch allows to go on without
  sys::Fd listener{};                   // where the seccomp program asks: calls wait on it, from now on
};

// Returns once the program has been executed, or after a minute (kTimeout: the group may be frozen). On error nothing
// is left: the child has been killed and reaped.
//
// inspect: called with the process while it waits, with all it is held by but its seccomp program; its error is that of
// Spawn(), and nothing was executed.
//
// meanwhile: called before that, while the process sets itself up, for what can be done beside it; its error counts
// too.
//
// built: where the launch has hooks for it, called with the process while it waits in its namespaces, with its mounts
// in place and the machine's root.
//
// loan: what a child that shares our memory needs, where this one may; docs/decisions/0032. Null: it is copied.
using Inspection = std::function<Result<>(pid_t pid)>;
struct Company {
  Inspection inspect = {}, meanwhile = {}, built = {};
  const Loan* loan = nullptr;
};
Result<Running> Spawn(const Prepared& prepared, const Stdio& stdio, const Company& company = {});

// Runs it in all namespaces of the process behind `container` (a pidfd of its PID 1), in the cgroup behind `cgroup`
// (-1: the caller's). kTimeout where the program is not executed within patience_ms: in a frozen group nothing moves.
// last: the caller starts nobody afterwards, and its later children would be the container's; there is no way back from
// a pid namespace for whoever is in a user namespace. Without it such a caller has it done by a process between, and
// what fails may leave a child for it to reap.
Result<Running> SpawnInside(const Prepared& prepared, const sys::Fd& container, int cgroup, const Stdio& stdio,
                            int patience_ms, bool last = false);

// The exit code a shell would give to a failed start: 127 the program is not there, 126 it cannot be executed, 125 the
// container could not be made.
int ExitCodeOf(const Error& start_error);

}  // namespace nucleus::process
