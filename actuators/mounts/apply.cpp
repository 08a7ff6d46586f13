#include "actuators/mounts/apply.hpp"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "actuators/mounts/directory.hpp"
#include "actuators/sys/file.hpp"
#include "state/parts/directory_facts.hpp"

namespace nucleus::mounts {

namespace {

constexpr unsigned long kVolumeFlags = MS_NOSUID | MS_NODEV;

Result<> SetOwner(const sys::Fd& directory, const DirectoryWanted& wanted) {
  const auto state = TRY(StateOf(directory, wanted.path));
  const uid_t uid = wanted.uid.value_or(state.uid);
  const gid_t gid = wanted.gid.value_or(state.gid);
  if (uid == state.uid && gid == state.gid) return {};
  if (::fchown(directory.get(), uid, gid) != 0) return FailSys("chown", wanted.path);
  return {};
}

Result<> SetMode(const sys::Fd& directory, const DirectoryWanted& wanted) {
  if (::fchmod(directory.get(), wanted.mode.value_or(kDefaultVolumeMode) & 07777U) != 0)
    return FailSys("chmod", wanted.path);
  return {};
}

// Owner before mode: chown(2) takes set-id bits away. The new directory opens up to others last.
Result<> ApplyPersistent(const DirectoryWanted& wanted) {
  const auto made = TRY(MakeDirectory(wanted.path));
  TRY(SetOwner(made.fd, wanted));
  if (made.created || IsModeAsked(wanted)) TRY(SetMode(made.fd, wanted));
  return {};
}

std::string TmpfsOptions(const DirectoryWanted& wanted) {
  std::string options = "mode=" + FormatMode(wanted.mode.value_or(kDefaultVolumeMode));
  options += wanted.size != 0 ? ",size=" + std::to_string(wanted.size) : std::string(",size=50%");
  if (wanted.uid) options += ",uid=" + std::to_string(*wanted.uid);
  if (wanted.gid) options += ",gid=" + std::to_string(*wanted.gid);
  return options;
}

Result<> ApplyEphemeral(const DirectoryWanted& wanted) {
  const auto made = TRY(MakeDirectory(wanted.path));
  const auto state = TRY(StateOf(made.fd, wanted.path));
  const std::string options = TmpfsOptions(wanted);
  const unsigned long flags = kVolumeFlags | (state.tmpfs_mount ? static_cast<unsigned long>(MS_REMOUNT) : 0UL);
  if (::mount("tmpfs", wanted.path.c_str(), "tmpfs", flags, options.c_str()) != 0) {
    return FailSys(state.tmpfs_mount ? "remount tmpfs" : "mount tmpfs", wanted.path + " (" + options + ")");
  }
  // A remount takes the size, but owner and mode of the root are those of its inode by now.
  const auto root = TRY(sys::Open(wanted.path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  TRY(SetOwner(root, wanted));
  return SetMode(root, wanted);
}

// Every layer that is mounted there, then the mount point.
Result<> UnmountEphemeral(const std::string& path) {
  constexpr int kMostLayers = 64;
  for (int i = 0; i < kMostLayers; ++i) {
    const auto directory = TRY(OpenDirectory(path));
    if (!directory) return {};
    if (!TRY(StateOf(*directory, path)).tmpfs_mount) break;
    // Detached: what a container still has mounted of it lives as long as the container.
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return FailSys("umount", path);
  }
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return FailSys("rmdir", path);
  sys::RemoveIfEmpty(path, 2);  // and the project's directory, if this was the last in it
  return {};
}

}  // namespace

Result<> VolumeActuator::Apply(const PartKey& key, const Wanted& part, const ProgressSink&) {
  const auto* wanted = std::get_if<DirectoryWanted>(&part);
  if (wanted == nullptr) return Fail(ErrorCode::kInternal, "apply", key.Text(), "not a directory");
  switch (wanted->type) {
    case spec::VolumeType::kPersistent:
      return ApplyPersistent(*wanted);
    case spec::VolumeType::kEphemeral:
      return ApplyEphemeral(*wanted);
  }
  return {};
}

Result<> VolumeActuator::Undo(const PartKey& key, const Wanted* part, const UndoOptions& options,
                              const ProgressSink& progress) {
  const auto* wanted = part != nullptr ? std::get_if<DirectoryWanted>(part) : nullptr;
  if (wanted != nullptr && wanted->type == spec::VolumeType::kPersistent) {
    if (!options.delete_data) return {};
    // The directory above is held open, and no component of it is a link: whoever can write one on the way, a container
    // with a volume there perhaps, cannot lead this elsewhere.
    const auto slash = wanted->path.find_last_of('/', wanted->path.find_last_not_of('/'));
    const std::string name = wanted->path.substr(slash + 1, wanted->path.find_last_not_of('/') - slash);
    const auto above = TRY(OpenDirectory(wanted->path.substr(0, slash + 1)));
    if (!above) return {};
    progress("deleting " + wanted->path);
    return sys::RemoveTreeAt(above->get(), name, wanted->path);
  }
  return UnmountEphemeral(directories_.VolumeMount(key.project, key.address.name));
}

}  // namespace nucleus::mounts
