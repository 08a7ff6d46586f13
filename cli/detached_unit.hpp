// The systemd unit of a container in the background: nucleus-ID.service, transient, watched by the system's manager or,
// for an ordinary user, by the user's own. Its program is the container's supervisor, which waits until the container
// is made in the unit's control group (actuators/process/hold.hpp).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "actuators/unit/unit_program.hpp"
#include "cli/session.hpp"

namespace nucleus::cli {

// A command of ours, for somebody who knows neither where we lie nor whose directories these are.
Result<std::vector<std::string>> OwnCommand(const Directories& directories, const std::vector<std::string>& words);

struct DetachedUnit {
  Directories directories;
  std::string name;      // of the container and its project
  bool restart = false;  // where its supervisor is killed, it is made once more
  bool remove = false;   // once it has ended
};

class WaitingUnit {
 public:
  // Returns once its supervisor waits. None: systemd is not here, or cannot be told; why not, where one would expect
  // it, is a warning.
  static Result<std::optional<WaitingUnit>> Start(Console& console, const DetachedUnit& wanted);
  // The container is up. Returns once the manager has noted that.
  Result<> Finish();

 private:
  WaitingUnit(DetachedUnit wanted, unit::UnitStart start, sys::Fd guard)
      : wanted_(std::move(wanted)), start_(std::move(start)), guard_(std::move(guard)) {}
  DetachedUnit wanted_;
  unit::UnitStart start_;
  sys::Fd guard_;  // as long as it is open, the supervisor waits
};

}  // namespace nucleus::cli
