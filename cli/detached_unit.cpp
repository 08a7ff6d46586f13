#include "cli/detached_unit.hpp"

#include "actuators/process/hold.hpp"
#include "cli/converge_wiring.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cli {

namespace {

Result<unit::UnitOrder> OrderOf(const DetachedUnit& wanted, unit::ManagerKind manager) {
  unit::UnitOrder order;
  order.manager = manager;
  order.name = UnitName(wanted.project);
  order.description = "Container " + wanted.project + " of nucleus";
  order.identifier = wanted.project;
  order.restart = wanted.restart;
  order.execute = {TRY(SupervisorPath()), wanted.directory, std::string(process::kAsUnit)};
  order.after = wanted.after;
  return order;
}

std::unexpected<Error> NotStarted(const DetachedUnit& wanted, const std::string& why) {
  return Fail(Error::Of(ErrorCode::kSystem, "start", UnitName(wanted.project), why)
                  .Hint("`journalctl -u " + UnitName(wanted.project) + "` may say more"));
}

}  // namespace

Result<std::optional<WaitingUnit>> WaitingUnit::Start(Console& console, const DetachedUnit& wanted) {
  constexpr int kTries = 3'000;
  constexpr int kPauseMs = 20;
  const auto manager = unit::ManagerHere();
  if (!manager) return std::nullopt;
  const auto order = TRY(OrderOf(wanted, *manager));
  auto start = TRY(unit::UnitStart::Begin(order));
  for (int i = 0; i < kTries; ++i) {
    if (auto guard = TRY(process::ConnectHold(wanted.directory)))
      return WaitingUnit(std::move(start), std::move(*guard));
    const auto answer = TRY(start.Look(kPauseMs));
    if (!answer) continue;
    if (answer->outcome != unit::UnitOutcome::kUnreachable) return NotStarted(wanted, answer->text);
    console.Warn("no unit of systemd watches it: " + answer->text);
    return std::nullopt;
  }
  return NotStarted(wanted, "its supervisor does not come up");
}

Result<> WaitingUnit::Finish() {
  constexpr int kPatienceMs = 30'000;
  // One that has ended by now was up.
  (void)TRY(start_.Look(kPatienceMs));
  return {};
}

}  // namespace nucleus::cli
