// Answers the calls that the seccomp program of a workload, or of a probe, asks about, by the program of its policy. A
// trace counts each one and lets it through, but for clone3, which is not there (ENOSYS): so clone is seen, with its
// flags. Otherwise none is let through, ever: it returns the error that the policy says, or its process is killed, and
// it is counted with the name of its program.
//
// Who asks waits, and so do its signals, so this never waits for a workload: at most 50 ms for one that it kills.
#pragma once

#include <span>

#include "actuators/supervisor/syscall_record.hpp"
#include "actuators/sys/fd.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

class SyscallAnswers {
 public:
  explicit SyscallAnswers(const Launch& launch) : security_(launch.security), init_(launch.init) {}

  // A new run of the workload begins, which was let through to its program; what was seen of the ones before stays.
  void Listen(sys::Fd listener);
  [[nodiscard]] int fd() const { return listener_.get(); }
  // Something is there, or nobody is left who could ask. Goes on while more comes, for 20 ms at most.
  void Serve() { Serve(listener_); }
  // The same of another's listener, a probe's: it is begun with, as the workload's is, once it has its program.
  void BeginProgram();
  void Serve(sys::Fd& listener);
  // The workload of this run, by a signal that is not the one that the kernel would have used: SIGKILL for SIGSYS.
  [[nodiscard]] bool killed_workload() const { return killed_workload_; }

  [[nodiscard]] const CallTrace& trace() const { return trace_; }
  [[nodiscard]] DenialRecord& denials() { return denials_; }

 private:
  void ServeOne(int listener);
  void Deny(int listener, std::uint64_t id, const seccomp_data& call, pid_t thread);
  void Kill(int listener, std::uint64_t id, pid_t thread);

  const Security security_;
  const bool init_;
  sys::Fd listener_;
  CallTrace trace_;
  DenialRecord denials_;
  bool killed_workload_ = false;
};

}  // namespace nucleus::process
