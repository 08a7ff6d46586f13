// A transient unit that is asked for, and what becomes of that. Plain values.
//
// Nothing in it is secret: everybody may read a unit's properties.
#pragma once

#include <string>
#include <vector>

namespace nucleus::unit {

enum class ManagerKind { kSystem, kUser };

// systemd.service(5), systemd.kill(5), systemd.resource-control(5). What is the same for all is in unit_library.cpp.
struct UnitOrder {
  ManagerKind manager = ManagerKind::kSystem;
  std::string name;  // "nucleus-0123456789ab.service"
  std::string description;
  std::string identifier;            // SyslogIdentifier=
  bool restart = false;              // where what it starts is killed
  int try_again = 0;                 // the exit code for which it is started again as well; with restart
  std::vector<std::string> execute;  // ExecStart=, absolute
  std::vector<std::string> after;    // ExecStopPost=; none: nothing
};

enum class UnitOutcome { kDone, kFailed, kRefused, kUnreachable };
struct UnitAnswer {
  UnitOutcome outcome = UnitOutcome::kDone;
  std::string text;  // why
};

// The exit codes of nucleus-unit: this much more than the outcome.
inline constexpr int kUnitExit = 10;

}  // namespace nucleus::unit
