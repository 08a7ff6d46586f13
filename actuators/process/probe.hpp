// What the process parts of a project are: the status files, checked against the kernel. Reads only.
//
// Facts: `state` (starting, running, backoff, stopping, exited, failed), `supervisor` (running, gone), `digest`,
// `policy`, `frozen` (0, 1), and `file:DESTINATION` for each staged file that a request names. Where a running workload
// is not confined as it was when it started, whatever is asked for now, `posture:` with `mounts`, `host name`,
// `oom_score_adj` or `limit memlock`: what is looked at costs microseconds, or is what its supervisor has seen of
// single mounts; the rest is for `verify`. Notes: id, pid, supervisor_pid, exit_code, health, restarts, started_ms,
// finished_ms, ending, oom_killed, error, probe_output, and orphaned: its supervisor is gone and its workload is not.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/fd.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

class ProcessProber final : public Prober {
 public:
  explicit ProcessProber(Directories directories) : directories_(std::move(directories)) {}
  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kProcess}; }
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
};

// What is seen of one after the other by itself, compared with nothing: for listings. Facts but those of what it was
// asked to be.
class Glance {
 public:
  explicit Glance(Directories directories);
  [[nodiscard]] Result<Observation> At(const PartKey& key) const;

 private:
  Directories directories_;
  std::optional<cgroup::Roots> groups_;  // none where there are none
  sys::Fd shared_root_;
};

// What a service directory says of its process, and whether a supervisor is behind it.
struct Found {
  std::optional<Status> status;  // none: no file, or one that does not read back
  pid_t supervisor = 0;          // 0: none is alive
  bool launched = false;         // there is a launch file
  [[nodiscard]] bool present() const { return status || supervisor != 0 || launched; }
};
Result<Found> Find(const std::string& directory);
// Whether nobody is behind it any more, and its workload is there nevertheless: one that has lost its parent death
// signal.
Result<bool> IsOrphaned(const Found& found);

// Where the copy of a config file lies that is mounted at `destination`.
std::string StagedFile(const std::string& directory, std::string_view destination);

}  // namespace nucleus::process
