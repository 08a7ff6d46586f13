// Makes and removes what is behind a volume.
//
// Persistent: a directory, made component by component without following links; owner, and mode where one was asked
// for, are set and repaired. Undo leaves it, with all that is in it, unless the data is to be deleted.
// Ephemeral: a tmpfs at Directories::VolumeMount, resized live. Undo unmounts it.
// Safe from several threads for different keys.
#pragma once

#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::mounts {

class VolumeActuator final : public Actuator {
 public:
  explicit VolumeActuator(Directories directories) : directories_(std::move(directories)) {}
  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kDirectory}; }
  Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) override;
  Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                const ProgressSink& progress) override;

 private:
  Directories directories_;
};

}  // namespace nucleus::mounts
