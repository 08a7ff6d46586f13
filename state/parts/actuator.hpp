// The two faces of whoever owns a kind of kernel object. The read-only face is all that `diff` ever links.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "spec/core/error.hpp"
#include "state/parts/parts.hpp"

namespace nucleus {

class Prober {
 public:
  virtual ~Prober() = default;
  [[nodiscard]] virtual std::vector<Part> Parts() const = 0;
  // Looks, changes nothing. Every part of the request has an entry in the answer; owned parts that were not asked for
  // are there too. An error only where nothing at all could be learnt.
  virtual Result<Observations> Probe(const ProbeRequest& request) = 0;
};

// How far a long step has come, for people. Called on the executor's thread that runs the step.
using ProgressSink = std::function<void(std::string_view message)>;
// What such a message begins with that everybody is to see, and not who watches alone.
inline constexpr std::string_view kWarningOfProgress = "warning: ";

// Apply twice equals once. Undo of the absent succeeds. Both may be called for different keys from several threads.
class Actuator {
 public:
  virtual ~Actuator() = default;
  [[nodiscard]] virtual std::vector<Part> Parts() const = 0;
  // Makes the part as wanted, live where the kernel can. On error what was begun is undone as far as it goes.
  virtual Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) = 0;
  struct UndoOptions {
    bool delete_data = false;  // persistent volumes: contents too
    bool keep_log = false;     // processes: another run of it, or the reader of a job's output, will want it
  };
  // wanted: what it was last asked to be, where that is known; what a key's name implies is always found.
  virtual Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                        const ProgressSink& progress) = 0;
};

// Waiting for a process: implemented beside the process actuator.
enum class Milestone { kExecuted, kStarted, kHealthy, kCompleted };  // kExecuted: it may have ended since
// How long a service has to have run to count as started: a program that fails at once has done so by then.
inline constexpr Duration kSettled{100};
class Waiter {
 public:
  virtual ~Waiter() = default;
  // Returns once the milestone is reached; kUnhealthy with exit status, last log lines and last probe output once it
  // cannot be reached any more; kTimeout at the deadline. timeout 0: none.
  virtual Result<> Wait(const PartKey& process, const ProcessWanted& wanted, Milestone milestone, Duration timeout) = 0;
  // Sends a signal to the workload of a running process part.
  virtual Result<> Signal(const PartKey& process, const ProcessWanted& wanted, int signal) = 0;
};

}  // namespace nucleus
