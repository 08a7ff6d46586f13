#include "cli/detached_unit.hpp"

#include "actuators/process/hold.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/own_programs.hpp"
#include "cli/converge_wiring.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cli {

namespace {

std::string DirectoryOf(const DetachedUnit& wanted) {
  return wanted.directories.ServiceDir(wanted.name, {Kind::kService, wanted.name});
}

Result<unit::UnitOrder> OrderOf(const DetachedUnit& wanted, unit::ManagerKind manager) {
  unit::UnitOrder order;
  order.manager = manager;
  order.name = UnitName(wanted.name);
  order.description = "Container " + wanted.name + " of nucleus";
  order.identifier = wanted.name;
  order.restart = wanted.restart && !wanted.remove;
  order.try_again = process::kTryAgain;
  order.execute = {TRY(SupervisorPath()), DirectoryOf(wanted), std::string(process::kAsUnit)};
  // By its address: a name that is gone by then may be how another one's id begins.
  const std::string address = Address{Kind::kContainer, wanted.name}.Text();
  if (wanted.remove) order.after = TRY(OwnCommand(wanted.directories, {"__ended", address}));
  return order;
}

std::unexpected<Error> NotStarted(const DetachedUnit& wanted, const std::string& why) {
  return Fail(Error::Of(ErrorCode::kSystem, "start", UnitName(wanted.name), why)
                  .Hint("`journalctl -u " + UnitName(wanted.name) + "` may say more"));
}

}  // namespace

Result<std::vector<std::string>> OwnCommand(const Directories& directories, const std::vector<std::string>& words) {
  std::vector<std::string> command{TRY(sys::ProgramOfOurs("nucleus")),
                                   words.front(),
                                   "--state-dir",
                                   directories.state,
                                   "--runtime-dir",
                                   directories.runtime};
  command.insert(command.end(), words.begin() + 1, words.end());
  return command;
}

Result<std::optional<WaitingUnit>> WaitingUnit::Start(Console& console, const DetachedUnit& wanted) {
  constexpr int kTries = 3'000;
  constexpr int kPauseMs = 20;
  const std::string directory = DirectoryOf(wanted);
  TRY(process::ForgetAgain(directory));
  const auto manager = unit::ManagerHere();
  if (!manager) {
    if (unit::IsInUnitWithMounts())
      console.Warn(
          "no unit of systemd watches it, and it ends with the unit that this is in: that has mounts of its own "
          "(PrivateTmp=, ProtectSystem= and the like), which another would not see; start it from one without");
    return std::nullopt;
  }
  const auto order = TRY(OrderOf(wanted, *manager));
  const auto forget = [&] {
    (void)process::ForgetAgain(directory);
    sys::RemoveIfEmpty(directory, 2);
  };
  const auto without = [&](const std::string& why) {
    forget();
    console.Warn("no unit of systemd watches it: " + why);
    return std::nullopt;
  };
  TRY(process::WriteAgain(directory, {}));
  auto begun = unit::UnitStart::Begin(order);
  if (!begun && begun.error().code == ErrorCode::kNotFound) return without(begun.error().Message());
  auto start = TRY(std::move(begun));
  for (int i = 0; i < kTries; ++i) {
    if (auto guard = TRY(process::KeepHold(directory))) return WaitingUnit(wanted, std::move(start), std::move(*guard));
    const auto answer = TRY(start.Look(kPauseMs));
    if (!answer) continue;
    if (answer->outcome == unit::UnitOutcome::kUnreachable) return without(answer->text);
    forget();
    return NotStarted(wanted, answer->text);
  }
  forget();
  return NotStarted(wanted, "its supervisor does not come up");
}

Result<> WaitingUnit::Finish() {
  constexpr int kPatienceMs = 30'000;
  // Where we do not know where we lie, nobody makes it again.
  const auto revive = OwnCommand(wanted_.directories, {"__revive", "--lock-timeout", "5m", wanted_.name});
  if (revive && !wanted_.remove) TRY(process::WriteAgain(DirectoryOf(wanted_), *revive));
  // One that has ended by now was up.
  (void)TRY(start_.Look(kPatienceMs));
  return {};
}

}  // namespace nucleus::cli
