// A kernel in memory: prober, actuator and waiter over a map of parts. For tests of planner and executor.
//
// It is as strict as the real one about order: a namespace needs its bridges, a process what it runs in, nothing is
// taken away under what still uses it, and a process of another digest is not replaced in place. What it is asked to do
// wrongly it refuses. Persistent directories keep their data. Safe from several threads.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>

#include "state/parts/actuator.hpp"

namespace nucleus::reconcile::testing {

class FakeKernel : public Prober, public Actuator, public Waiter {
 public:
  // ---- the interfaces ----
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<Observations> Probe(const ProbeRequest& request) override;
  Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) override;
  Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                const ProgressSink& progress) override;
  Result<> Wait(const PartKey& process, const ProcessWanted& wanted, Milestone milestone, Duration timeout) override;
  Result<> Signal(const PartKey& process, const ProcessWanted& wanted, int signal) override;

  // ---- what a test does behind everybody's back ----
  // Apply, Undo and Wait of it fail.
  void FailOn(const PartKey& key, ErrorCode code = ErrorCode::kSystem) { failing_[key] = code; }
  void FailOnNothing() { failing_.clear(); }
  void MakeUnhealthy(const PartKey& key) { unhealthy_.insert(key); }
  void Reboot();  // all but persistent directories is gone
  void Remove(const PartKey& key) { objects_.erase(key); }
  void SetFact(const PartKey& key, const std::string& fact, const std::string& value);
  void SetNote(const PartKey& key, const std::string& note, const std::string& value);
  void DropFact(const PartKey& key, const std::string& fact);
  void HoldPorts() { hold_ports_ = true; }      // one in user space is refused while another service has it
  void Hide(bool hidden) { hidden_ = hidden; }  // everything is unreadable

  // ---- what a test looks at ----
  [[nodiscard]] std::set<PartKey> Keys() const;
  [[nodiscard]] Observations All() const;
  [[nodiscard]] std::size_t StartsOf(const PartKey& process) const;
  [[nodiscard]] std::size_t SignalsOf(const PartKey& process) const;
  [[nodiscard]] const std::map<std::string, Facts>& directories() const { return directories_; }
  [[nodiscard]] std::size_t calls() const { return calls_; }  // of Apply and Undo

 private:
  struct Object {
    Observation observation;
    std::set<std::string> bridges;         // of a namespace: links it is attached to; of a bridge: its own
    std::vector<spec::PortForward> ports;  // of a process in user space
  };
  Result<> Refuse(std::string_view operation, const PartKey& key, std::string_view cause) const;
  Result<> CheckGround(const PartKey& key, const Wanted& wanted) const;
  Result<> CheckPorts(const PartKey& key, const ProcessWanted& wanted) const;
  Result<> CheckUnused(const PartKey& key) const;
  [[nodiscard]] bool Has(const PartKey& like, Part part) const;
  Observation Look(const PartKey& key, const Wanted* wanted) const;

  mutable std::mutex mutex_;
  std::map<PartKey, Object> objects_;
  std::map<std::string, Facts> directories_;  // persistent, by path
  std::map<PartKey, ErrorCode> failing_;
  std::set<PartKey> unhealthy_;
  std::map<PartKey, std::size_t> starts_, signals_;
  std::size_t calls_ = 0;
  bool hidden_ = false;
  bool hold_ports_ = false;
};

}  // namespace nucleus::reconcile::testing
