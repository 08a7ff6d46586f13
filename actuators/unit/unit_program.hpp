// A transient unit on its way, by nucleus-unit, which is a child of ours until that is over.
#pragma once

#include <sys/types.h>

#include <optional>

#include "actuators/sys/fd.hpp"
#include "actuators/unit/unit_order.hpp"
#include "spec/core/error.hpp"

namespace nucleus::unit {

// Whether systemd is what this machine runs under, sd_booted(3), and we have the mounts that it has; for an ordinary
// user, whether a manager of theirs is there.
std::optional<ManagerKind> ManagerHere();
// Whether we are part of a unit of the system's manager that has mounts of its own: one of ours would not see them.
bool IsInUnitWithMounts();

class UnitStart {
 public:
  static Result<UnitStart> Begin(const UnitOrder& order);
  ~UnitStart();
  UnitStart(UnitStart&& other) noexcept;
  UnitStart& operator=(UnitStart&& other) noexcept;
  UnitStart(const UnitStart&) = delete;
  UnitStart& operator=(const UnitStart&) = delete;

  // Within some milliseconds; none: it is on its way still.
  Result<std::optional<UnitAnswer>> Look(int timeout_ms);
  Result<UnitAnswer> Await();

 private:
  UnitStart(pid_t pid, sys::Fd output) : pid_(pid), output_(std::move(output)) {}
  pid_t pid_ = 0;
  sys::Fd output_;
};

}  // namespace nucleus::unit
