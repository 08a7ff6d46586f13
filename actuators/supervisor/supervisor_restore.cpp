// A first start that is no start: the processes come out of the images of a checkpoint. Whatever comes after is as
// after any start, and so is the next one.
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/process/child_restore.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"

namespace nucleus::process {

// None: it is a start like any other. The order holds once, whatever comes of it.
Result<std::optional<RestoreOrder>> Supervisor::TakeRestoreOrder() const {
  const std::string path = directory_ + "/" + std::string(kRestoreFile);
  const auto data = TRY(sys::ReadFileIfThere(path));
  if (!data) return std::nullopt;
  if (::unlink(path.c_str()) != 0) return FailSys("remove", path);
  return TRY(DecodeRestoreOrder(*data));
}

// stdio: the log's ends of the pipes.
Result<Running> Supervisor::RestoreWorkload(const RestoreOrder& order, const Prepared& prepared, const Stdio& stdio) {
  const std::string stage = directory_ + "/" + std::string(kRestoreStage);
  if (::mkdir(stage.c_str(), 0700) != 0 && errno != EEXIST) return FailSys("mkdir", stage);
  const std::string mounts = stage + std::string(kRestoreMounts);
  TRY(sys::RemoveTree(mounts));
  if (::mkdir(mounts.c_str(), 0700) != 0) return FailSys("mkdir", mounts);
  auto restored =
      Restore(prepared, order, stdio, stage, [this] { return sys::PendingEnd(attached_, StopSignal()) != 0; });
  ::rmdir(stage.c_str());
  (void)sys::RemoveTree(mounts);
  if (!restored) KillGroup();  // what it had made by then
  return restored;
}

}  // namespace nucleus::process
