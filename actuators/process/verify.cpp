#include "actuators/process/verify.hpp"

#include <algorithm>

#include "actuators/process/probe.hpp"
#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::process {

namespace {

Check SupervisorLine(pid_t supervisor, const std::optional<Program>& program) {
  if (supervisor == 0) return {"supervisor", "running", "gone", Verdict::kDiffers};
  Check check{"supervisor's program", "read-only", "?", Verdict::kUnreadable};
  if (!program) return check;
  check.found = program->read_only ? "read-only" : "writable";
  check.verdict = program->read_only ? Verdict::kOk : Verdict::kDiffers;
  return check;
}

void AddChecks(std::vector<Check> more, std::string_view whose, std::vector<Check>& checks) {
  for (Check& check : more) {
    check.name.insert(0, whose);
    checks.push_back(std::move(check));
  }
}

// What was mounted later inside of a tree that was cloned looks like what came along with it: their number tells, where
// no line has told already.
void AddNumber(const Status& status, std::vector<Check>& checks) {
  const sys::Fd pidfd(sys::PidfdOpen(status.workload.pid));
  const std::string found = BriefMounts(sys::ProcOf(status.workload.pid), pidfd.get());
  const bool told = std::ranges::any_of(checks, [](const Check& check) {
    return check.verdict == Verdict::kDiffers && check.name.starts_with("mount ");
  });
  if (status.mounts.empty() || found.empty() || told) return;
  checks.push_back(
      {"number of mounts", status.mounts, found, found == status.mounts ? Verdict::kOk : Verdict::kDiffers});
}

// False: PID 1 has ended.
Result<bool> AddProcesses(pid_t pid, const Comparison& with, std::vector<Check>& checks) {
  const Launch& launch = with.launch;
  const auto first = TRY(Inspect(pid, launch));
  if (!first) return false;
  Comparison as_first = with;
  as_first.mini_init = launch.init;
  AddChecks(Compare(*first, as_first), launch.init ? "init: " : "", checks);
  if (!launch.init) return true;
  const auto child = FirstChild(pid);
  const auto workload = child ? TRY(Inspect(*child, launch)) : std::nullopt;
  if (workload && workload->parent == pid) {
    AddChecks(Compare(*workload, with), "", checks);
  } else {
    checks.push_back({"workload", "behind its mini-init", "?", Verdict::kUnreadable});
  }
  return true;
}

}  // namespace

Result<std::optional<Verification>> Verify(const std::string& directory, const Directories& directories,
                                           bool callers_files, MaskText capability_names) {
  const Found found = TRY(Find(directory));
  if (!found.status || !TRY(sys::IsAlive(found.status->workload))) return std::nullopt;
  Verification verification{.checks = {}, .workload = found.status->workload};
  std::vector<Check>& checks = verification.checks;
  const std::string path = directory + "/" + std::string(kLaunchFile);
  const auto text = sys::ReadFile(path);
  if (!text && text.error().code == ErrorCode::kPermission) {
    checks.push_back({"launch", "as recorded", "?", Verdict::kUnreadable});
    return verification;
  }
  if (!text) return Fail(text.error());
  const Launch launch = TRY_IN(path, DecodeLaunch(*text));
  if (launch.id != found.status->id)
    checks.push_back({"launch", "of " + found.status->id, "of " + launch.id, Verdict::kDiffers});
  Comparison with{.launch = launch,
                  .callers_files = callers_files,
                  .own_directories = {directories.runtime, directories.state},
                  .capability_names = capability_names};
  if (found.supervisor != 0) AddSupervisor(found.supervisor, with);
  checks.push_back(SupervisorLine(found.supervisor, with.supervisor));
  if (!TRY(AddProcesses(found.status->workload.pid, with, checks))) return std::nullopt;
  AddNumber(*found.status, checks);
  // What has ended meanwhile differs in many ways.
  if (!TRY(sys::IsAlive(found.status->workload))) return std::nullopt;
  return verification;
}

}  // namespace nucleus::process
