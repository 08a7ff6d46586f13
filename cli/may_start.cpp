#include "cli/may_start.hpp"

#include <algorithm>
#include <vector>

#include "cli/published_ports.hpp"
#include "cli/run_network.hpp"
#include "cli/signals.hpp"
#include "cli/start_checks.hpp"
#include "cli/walk_progress.hpp"

namespace nucleus::cli {

namespace {

Asking AskingOf(const Work& work) {
  return work.quiet ? Asking::kCommand : Asking::kStarter;
}

Result<> Refuse(const Work& work, const std::vector<spec::Problem>& problems) {
  if (work.quiet && !problems.empty()) return Fail(ErrorCode::kInvalid, "", "", problems.front().message);
  return TellProblems(work.context, problems);
}

// The start verifies once more: what is stopped for it is not, for what is known to fail.
Result<> CheckSeals(const Work& work) {
  const auto sealed = [](const auto& service) { return service.second.verify_rootfs_attestation; };
  if (std::ranges::none_of(work.desired()->services, sealed)) return {};
  WalkProgress progress(work.console(), "verifying");
  const auto problems = VerifySeals(*work.desired(), work.plan, work.world.observed.parts, work.directories,
                                    AskingOf(work), {.stop = &Interrupted(), .progress = progress.counters()});
  progress.Finish();
  return Refuse(work, problems);
}

}  // namespace

Result<> CheckMayStart(const Work& work, const LockPatience& patience) {
  if (const auto unreadable = Unreadable(work.world); !unreadable.empty()) {
    return Fail(ErrorCode::kPermission, "read", unreadable.front(), "what cannot be seen is not changed");
  }
  if (work.desired() != nullptr) {
    TRY(Refuse(work,
               CheckStarts(*work.desired(), work.plan, work.world.observed.parts, work.directories, AskingOf(work))));
  }
  RunNetwork::RemoveOrphans(work.directories, patience);
  TRY(CheckPublishedPorts(work.world, work.desired() != nullptr ? &work.effective : nullptr));
  return work.desired() != nullptr ? CheckSeals(work) : Result<>();
}

}  // namespace nucleus::cli
