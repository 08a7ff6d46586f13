#include "actuators/process/running.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "actuators/process/channel.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

std::unexpected<Error> NotRunning(const std::string& subject, const std::optional<Status>& status) {
  std::string why = "is not running";
  if (status && status->state == Status::State::kBackoff) why = "is between two runs";
  if (status && status->state == Status::State::kStarting) why = "is not up yet";
  return Fail(ErrorCode::kNotFound, "", subject, why);
}

}  // namespace

Result<RunningContainer> OpenRunning(const std::string& directory, const std::string& subject) {
  // Each means that it was replaced while we read, or that its supervisor has yet to say that it runs.
  constexpr int kTries = 200;
  constexpr unsigned kPauseUs = 10'000;
  for (int i = 0; i < kTries; ++i) {
    const auto status = TRY(sys::ReadBriefIfThere(AT_FDCWD, directory + "/" + std::string(kStatusFile)));
    if (!status) return NotRunning(subject, std::nullopt);
    RunningContainer found{.launch = {}, .status = TRY(DecodeStatus(*status)), .pidfd = {}};
    const bool starting = found.status.state == Status::State::kStarting;
    if (starting && i + 1 < kTries && TRY(SupervisorOf(directory)) != 0) {
      ::usleep(kPauseUs);
      continue;
    }
    if (found.status.workload.pid == 0) return NotRunning(subject, found.status);
    const auto text = TRY(sys::ReadFileIfThere(directory + "/" + std::string(kLaunchFile)));
    if (!text) return NotRunning(subject, std::nullopt);
    found.launch = TRY_IN(subject, DecodeLaunch(*text));
    if (found.launch.id != found.status.id) continue;
    auto pidfd = TRY_IN(subject, sys::OpenIdentified(found.status.workload));
    if (!pidfd) return Fail(ErrorCode::kNotFound, "", subject, "has ended");
    found.pidfd = std::move(*pidfd);
    return found;
  }
  return Fail(ErrorCode::kConflict, "", subject, "is replaced again and again");
}

bool IsPaused(const std::string& cgroup) {
  if (cgroup.empty()) return false;
  const auto text = sys::ReadBriefIfThere(AT_FDCWD, cgroup + "/cgroup.freeze");
  return text && *text && (*text)->starts_with('1');
}

Result<sys::Fd> HoldForCheckpoint(const std::string& directory) {
  const std::string path = directory + "/" + std::string(kCheckpointFile);
  sys::Fd file = TRY(sys::Open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno != EWOULDBLOCK) return FailSys("lock", path);
  return Fail(ErrorCode::kLocked, "lock", path, "a checkpoint is being made");
}

bool IsHeldForCheckpoint(const std::string& directory) {
  return sys::IsFlocked(directory + "/" + std::string(kCheckpointFile));
}

}  // namespace nucleus::process
