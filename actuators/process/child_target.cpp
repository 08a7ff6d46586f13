#include "actuators/process/child_target.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <climits>
#include <cstring>

#include "actuators/sys/openat2.hpp"

namespace nucleus::process {

namespace {

constexpr std::uint64_t kTarget = sys::kInRoot | RESOLVE_NO_SYMLINKS;

int BaseOf(const Child& child) {
  return child.skeleton >= 0 ? child.skeleton : child.root;
}

const char* WithoutSlashes(const char* path) {
  while (*path == '/') ++path;
  return path;
}

void Forget(Child& child) {
  if (child.parent >= 0) ::close(child.parent);
  child.parent = -1;
  child.parent_path = nullptr;
}

// Opens the directory component by component and makes what is missing. -1: errno says why.
int MakeParents(const Child& child, const char* path, std::size_t size) {
  char buffer[PATH_MAX];
  std::memcpy(buffer, path, size);
  buffer[size] = '\0';
  int parent = sys::OpenAt2(BaseOf(child), ".", O_PATH | O_DIRECTORY, sys::kInRoot);
  for (char* at = buffer; at != nullptr && parent >= 0;) {
    char* end = std::strchr(at, '/');
    if (end != nullptr) *end = '\0';
    int next = sys::OpenAt2(BaseOf(child), buffer, O_PATH | O_DIRECTORY, kTarget);
    sys::MountIdentity above;
    if (next < 0 && errno == ENOENT && sys::IdentifyMount(parent, above)) {
      errno = ENOENT;
      if (IsOurs(child, above) && ::mkdirat(parent, at, 0755) == 0)
        next = sys::OpenAt2(BaseOf(child), buffer, O_PATH | O_DIRECTORY, kTarget);
    }
    const int err = errno;
    ::close(parent);
    errno = err;
    parent = next;
    if (end != nullptr) *end = '/';
    at = end == nullptr ? nullptr : end + 1;
  }
  return parent;
}

int OpenDirectory(const Child& child, const char* path, std::size_t size) {
  if (size == 0) return sys::OpenAt2(BaseOf(child), ".", O_PATH | O_DIRECTORY, sys::kInRoot);
  char buffer[PATH_MAX];
  std::memcpy(buffer, path, size);
  buffer[size] = '\0';
  const int fd = sys::OpenAt2(BaseOf(child), buffer, O_PATH | O_DIRECTORY, kTarget);
  return fd >= 0 || errno != ENOENT ? fd : MakeParents(child, path, size);
}

bool MakePoint(const Spot& spot, bool directory) {
  const int made =
      directory ? ::mkdirat(spot.parent, spot.name, 0755) : ::mknodat(spot.parent, spot.name, S_IFREG | 0644, 0);
  return made == 0 || errno == EEXIST;
}

bool IsLink(const Spot& spot) {
  char first = 0;
  return ::readlinkat(spot.parent, spot.name, &first, 1) >= 0;
}

// By name: the entry is ours alone. A link would not be followed but, by a file, covered; that is refused as elsewhere.
bool PlaceInOurs(Child& child, int index, int mount, const Spot& spot, bool directory) {
  const auto move = [&] {
    return ::syscall(SYS_move_mount, mount, "", spot.parent, spot.name, sys::kMoveFromEmptyPath) == 0;
  };
  const auto failed = [&](Call call, int err) { return child.Fail(Step::kMount, call, index, err); };
  if (!directory && IsLink(spot)) return failed(Call::kOpenTarget, ELOOP);
  if (move()) return true;
  if (errno == ENOENT) {
    if (!MakePoint(spot, directory)) return failed(Call::kOpenTarget, errno);
    if (move()) return true;
  }
  const int err = errno;
  return IsLink(spot) ? failed(Call::kOpenTarget, ELOOP) : failed(Call::kMoveMount, err);
}

}  // namespace

int OpenTarget(const Child& child, const char* target, std::uint64_t flags) {
  return sys::OpenAt2(BaseOf(child), target, flags, kTarget);
}

bool FindSpot(Child& child, const MountOp& op, Spot& spot) {
  const char* path = WithoutSlashes(op.target.c_str());
  const std::size_t length = std::strlen(path);
  if (length == 0 || length >= PATH_MAX) {
    errno = length == 0 ? EEXIST : ENAMETOOLONG;
    return false;
  }
  const char* slash = std::strrchr(path, '/');
  const std::size_t size = slash == nullptr ? 0 : static_cast<std::size_t>(slash - path);
  spot.name = slash == nullptr ? path : slash + 1;
  const bool kept = child.parent >= 0 && child.parent_ours && child.parent_size == size &&
                    std::memcmp(child.parent_path, path, size) == 0;
  if (!kept) {
    Forget(child);
    const int fd = OpenDirectory(child, path, size);
    if (fd < 0) return false;
    sys::MountIdentity identity;
    if (!sys::IdentifyMount(fd, identity)) return false;
    child.parent = fd;
    child.parent_path = path;
    child.parent_size = size;
    child.parent_ours = IsOurs(child, identity);
    child.parent_setgid = (identity.mode & S_ISGID) != 0;
  }
  spot.parent = child.parent;
  spot.setgid = child.parent_setgid;
  // A name that leads elsewhere is no entry of this directory.
  spot.ours = child.parent_ours && std::strcmp(spot.name, ".") != 0 && std::strcmp(spot.name, "..") != 0;
  return true;
}

void SetBase(Child& child, const sys::MountIdentity& identity) {
  Forget(child);
  child.base = identity;
}

bool IsOurs(const Child& child, const sys::MountIdentity& identity) {
  const std::uint64_t device = makedev(identity.device_major, identity.device_minor);
  for (std::size_t i = 0; i < child.data.own_device_count; ++i)
    if (child.data.own_devices[i] == device) return true;
  return false;
}

void AddOwn(Child& child, const sys::MountIdentity& identity) {
  // There is room for one of each operation: what is beyond is none of ours.
  if (child.data.own_device_count == child.data.own_devices.size()) return;
  child.data.own_devices[child.data.own_device_count++] = makedev(identity.device_major, identity.device_minor);
}

bool PlaceAt(Child& child, int index, int mount, bool directory) {
  const MountOp& op = *child.data.ops[static_cast<std::size_t>(index)].op;
  Spot spot;
  if (!FindSpot(child, op, spot)) return child.Fail(Step::kMount, Call::kOpenTarget, index);
  if (spot.ours) {
    if (!PlaceInOurs(child, index, mount, spot, directory)) return false;
  } else {
    const int target = sys::OpenAt2(spot.parent, spot.name, O_PATH, kTarget);
    sys::MountIdentity there;
    if (target < 0 || !sys::IdentifyMount(target, there)) return child.Fail(Step::kMount, Call::kOpenTarget, index);
    // Inodes do not tell: of an overlay each layer has its own, and the root may share its number with a file.
    if (there.mount == child.base.mount && there.is_mount_root)
      return child.Fail(Step::kMount, Call::kOpenTarget, index, ELOOP);
    if (sys::MoveMount(mount, target) != 0) return child.Fail(Step::kMount, Call::kMoveMount, index);
    ::close(target);
  }
  ForgetBelow(child, op.target.c_str());
  return true;
}

void ForgetBelow(Child& child, const char* target) {
  if (child.parent < 0) return;
  const char* path = WithoutSlashes(target);
  const std::size_t size = std::strlen(path);
  const bool below = child.parent_size >= size && std::memcmp(child.parent_path, path, size) == 0 &&
                     (child.parent_size == size || child.parent_path[size] == '/');
  if (below) Forget(child);
}

}  // namespace nucleus::process
