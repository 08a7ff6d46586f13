// What is behind the volumes of a project. Reads only. Facts: state/parts/directory_facts.hpp.
#pragma once

#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::mounts {

class VolumeProber final : public Prober {
 public:
  explicit VolumeProber(Directories directories) : directories_(std::move(directories)) {}
  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kDirectory}; }
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
};

}  // namespace nucleus::mounts
