// Looks at control groups. Facts: "owner" (the tag), and the limits as limits.hpp has them. Changes nothing.
#pragma once

#include <optional>

#include "actuators/sys/cgroupfs.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::cgroup {

class CgroupProber : public Prober {
 public:
  explicit CgroupProber(Directories directories) : directories_(std::move(directories)) {}
  CgroupProber(Directories directories, sys::CgroupRoot root)  // not in the root that this machine has
      : directories_(std::move(directories)), fixed_root_(std::move(root)) {}

  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kCgroup}; }
  // Where no cgroup2 is mounted all parts are absent.
  Result<Observations> Probe(const ProbeRequest& request) override;

 private:
  Directories directories_;
  std::optional<sys::CgroupRoot> fixed_root_;
};

// controllers, cgroup_usable, boot_id, memory and privileged; routes are somebody else's.
Result<> FillHost(Host& host, std::string_view project);
// The same; root: what was found for the project.
Result<> FillHost(Host& host, Result<sys::CgroupRoot> root);

}  // namespace nucleus::cgroup
