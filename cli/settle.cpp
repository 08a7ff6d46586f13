#include "cli/settle.hpp"

#include <filesystem>

#include "actuators/process/at_end.hpp"
#include "actuators/sys/file.hpp"
#include "cli/users_machine.hpp"
#include "reconcile/applied.hpp"
#include "reconcile/recover.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

// Nothing of the project is left. A directory may be: whoever was killed in between has removed all that was in it.
Result<> Forget(Work& work) {
  const auto pin = work.directories.NetnsPin(work.world.project, {Kind::kService, "any"});
  sys::RemoveIfEmpty(std::filesystem::path(pin).parent_path(), 1);
  TRY(work.store.RemoveProject(work.world.project, false));
  work.lock.Remove(work.directories, work.world.project);
  return {};
}

// Whoever asks for it now decides what becomes of it once it has ended.
Result<> TakeOver(Work& work) {
  if (!work.goal.desired || !work.goal.origin) return {};
  const std::string& project = work.world.project;
  TRY(work.store.SetOrigin(project, *work.goal.origin));
  if (*work.goal.origin != state::Origin::kFiles) return {};
  return process::ForgetAtEnd(work.directories.ServiceDir(project, {Kind::kService, project}));
}

Result<> SettleStore(Work& work) {
  TRY(reconcile::CloseInterrupted(work.store, work.world.project));
  TRY(TakeOver(work));
  if (!work.goal.desired) {
    const auto row = TRY(work.store.LoadProject(work.world.project));
    if (!row) return {};
    if (row->resources.empty()) return Forget(work);
  }
  return work.store.SettlePorts(work.world.project, reconcile::PortsOf(work.effective));
}

// What leads to an ordinary user's machine is what all projects publish there; without any it goes.
Result<> SettleUsersMachine(Work& work) {
  if (!work.world.observed.host.nested) return {};
  if (TRY(work.store.Projects()).empty()) return EndUsersMachine(work.directories);
  return SetWayOutOfUsersMachine(work.directories, reconcile::ToTaken(TRY(work.store.Leases()), ""));
}

}  // namespace

Result<> Settle(Work& work) {
  TRY(SettleStore(work));
  return SettleUsersMachine(work);
}

Result<> Confirm(Work& work) {
  const auto last = TRY(work.store.LastRevision(work.world.project));
  if (!last || last->number != work.world.applied.revision || last->state == state::RevisionState::kApplied) return {};
  if (last->spec_json != spec::ToJson(work.effective)) return {};
  return work.store.FinishRevision(work.world.project, last->number, state::RevisionState::kApplied);
}

}  // namespace nucleus::cli
