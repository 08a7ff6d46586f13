// Starts, changes and stops the process of a service: its supervisor, and through it the workload.
//
// Apply writes the compiled container into the service's directory and starts the supervisor, which is nobody's child:
// it outlives this command. Where one runs already from the same digest, only what may change live is changed: the
// policy, the contents of staged files, a freeze. Undo stops gracefully, then by force; a process is signalled only
// through a pidfd that was checked to be it. The log of a job that completed stays.
// Safe from several threads for different keys.
#pragma once

#include <functional>
#include <string>

#include "actuators/process/start_supervisor.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

// Makes a container of what is wanted; a new id at each call. The wiring puts it together.
using Compiler = std::function<Result<Launch>(const PartKey&, const ProcessWanted&)>;

class ProcessActuator final : public Actuator, public Waiter {
 public:
  ProcessActuator(Directories directories, Compiler compiler, std::string supervisor)
      : directories_(std::move(directories)), compiler_(std::move(compiler)), supervisors_(std::move(supervisor)) {}

  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kProcess}; }
  Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) override;
  Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                const ProgressSink& progress) override;

  Result<> Wait(const PartKey& process, const ProcessWanted& wanted, Milestone milestone, Duration timeout) override;
  Result<> Signal(const PartKey& process, const ProcessWanted& wanted, int signal) override;

 private:
  Result<> Start(const PartKey& key, const ProcessWanted& wanted);

  Directories directories_;
  Compiler compiler_;
  SupervisorStarter supervisors_;
};

// What the supervisor is to follow.
Policy PolicyOf(const ProcessWanted& wanted);

}  // namespace nucleus::process
