// One run of a health probe.
//
// A command runs inside all namespaces of the container, with the workload's identity, limits and confinement. tcp and
// http probes connect to 127.0.0.1 from inside its network namespace, or to the other addresses found there when
// nothing listens on that one; they are a forked piece of this program in the container's mount namespace that has
// given up its identity and capabilities. Both live in a control group "probe" below the container's, so that they
// count against its limits and can be killed whole.
#pragma once

#include <optional>
#include <string>

#include "actuators/process/child.hpp"
#include "actuators/process/supervision.hpp"

namespace nucleus::process {

class HealthProbe {
 public:
  // container: a pidfd of its PID 1.
  static Result<HealthProbe> Start(const Launch& launch, const spec::HealthCheck& check, const sys::Fd& container,
                                   Millis now);

  [[nodiscard]] pid_t pid() const { return running_.pid; }
  [[nodiscard]] const sys::Fd& pidfd() const { return running_.pidfd; }
  [[nodiscard]] const sys::Fd& output() const { return output_; }
  // Where its seccomp program asks: its calls wait on it. The caller's to answer; syscall_answers.hpp.
  [[nodiscard]] sys::Fd& listener() { return running_.listener; }
  [[nodiscard]] Millis deadline() const { return deadline_; }

  void ReadOutput();
  // Ends it and everything it started.
  void Kill();
  // After it has ended (or was killed): exit code 0 is healthy.
  struct Outcome {
    bool healthy = false;
    std::string output;  // the last 1 KiB, control characters escaped
  };
  Outcome Finish(bool timed_out);

 private:
  HealthProbe() = default;
  Running running_;
  sys::Fd output_;
  std::string cgroup_;
  std::string tail_;
  Millis deadline_ = 0;
};

// Removes the probes' control group; after the container has ended.
void RemoveProbeCgroup(const std::string& container_cgroup);

// The child of a tcp or http probe, in its network namespace: exits 0 where it is answered. Writes why not to `out`.
[[noreturn]] void RunNetworkProbe(const spec::HealthCheck& check, int out);

}  // namespace nucleus::process
