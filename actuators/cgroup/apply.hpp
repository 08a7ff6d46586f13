// Makes, limits and removes the control group of a container.
//
// Apply makes "nucleus/PROJECT/service.X" below the root, tags it, enables controllers on the way down and writes the
// limits that differ, live. A memory limit below what is in use is refused (kConflict) after the kernel has been made
// to reclaim: memory.max would have the OOM killer make room. A limit whose controller is not there is kUnsupported.
// A group with processes of another runtime directory's container of that name is refused (kConflict), and left alone
// by Undo.
// Undo kills whatever is in the group, waits, and removes it with all below, then parents that are empty.
#pragma once

#include <optional>

#include "actuators/sys/cgroupfs.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::cgroup {

class CgroupActuator : public Actuator {
 public:
  explicit CgroupActuator(Directories directories) : directories_(std::move(directories)) {}
  CgroupActuator(Directories directories, sys::CgroupRoot root)  // not in the root that this machine has
      : directories_(std::move(directories)), fixed_root_(std::move(root)) {}

  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kCgroup}; }
  Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) override;
  Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                const ProgressSink& progress) override;

 private:
  [[nodiscard]] Result<sys::CgroupRoot> Root(const std::string& project) const;
  Directories directories_;
  std::optional<sys::CgroupRoot> fixed_root_;
};

}  // namespace nucleus::cgroup
