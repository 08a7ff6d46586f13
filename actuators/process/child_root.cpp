// The root file system, built on file descriptors.
//
// The new root is attached above "/" of our private mount namespace (the task's own root stays the mount below it, so
// host paths resolve as before and nothing of the host is hidden by a staging directory). Every target is then opened
// with openat2(RESOLVE_IN_ROOT) below the new root's descriptor and mounted on by descriptor: a component that is
// swapped meanwhile changes nothing, since nothing is looked up twice.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstring>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kPathMax = 4096;

bool FailOp(Child& child, int index, Call call, int err = errno) {
  return child.Fail(Step::kMount, call, index, err);
}

std::uint64_t DeviceOf(int fd) {
  struct stat st{};
  return ::fstat(fd, &st) == 0 ? st.st_dev : 0;
}

// A file system made by us, in which missing targets may be made.
bool IsOurs(const Child& child, int fd) {
  const std::uint64_t device = DeviceOf(fd);
  for (std::size_t i = 0; i < child.data.own_device_count; ++i)
    if (child.data.own_devices[i] == device) return true;
  return false;
}
void AddOwn(Child& child, int fd) {
  child.data.own_devices[child.data.own_device_count++] = DeviceOf(fd);
}

int BaseOf(const Child& child) {
  return child.skeleton >= 0 ? child.skeleton : child.root;
}

// Whoever compiled the launch has resolved the links of the image: one that is on the way to a target now was put there
// since, and is not followed (CVE-2019-19921, CVE-2021-30465).
constexpr std::uint64_t kTarget = sys::kInRoot | RESOLVE_NO_SYMLINKS;

// Opens the directory above a target and finds its last component; missing directories are made where the file system
// is ours. -1: errno says why.
int OpenParent(const Child& child, const PreparedOp& op, const char** name) {
  const char* path = op.op->target.c_str();
  while (*path == '/') ++path;
  static_assert(kPathMax > 4095);
  char buffer[kPathMax];
  const std::size_t length = std::strlen(path);
  if (length == 0 || length >= sizeof buffer) {
    errno = length == 0 ? EEXIST : ENAMETOOLONG;
    return -1;
  }
  std::memcpy(buffer, path, length + 1);
  const char* slash = std::strrchr(path, '/');
  *name = slash == nullptr ? path : slash + 1;
  int parent = sys::OpenAt2(BaseOf(child), ".", O_PATH | O_DIRECTORY, sys::kInRoot);
  for (char* at = buffer; parent >= 0;) {
    char* end = std::strchr(at, '/');
    if (end == nullptr) break;
    *end = '\0';
    int next = sys::OpenAt2(BaseOf(child), buffer, O_PATH | O_DIRECTORY, kTarget);
    if (next < 0 && errno == ENOENT && IsOurs(child, parent) && ::mkdirat(parent, at, 0755) == 0)
      next = sys::OpenAt2(BaseOf(child), buffer, O_PATH | O_DIRECTORY, kTarget);
    const int err = errno;
    ::close(parent);
    errno = err;
    parent = next;
    *end = '/';
    at = end + 1;
  }
  return parent;
}

// The target of a mount. A missing one is made, as a directory or an empty file, where the file system is ours.
int OpenMountPoint(Child& child, const PreparedOp& op, bool directory) {
  const char* path = op.op->target.c_str();
  int fd = sys::OpenAt2(BaseOf(child), path, O_PATH, kTarget);
  if (fd < 0 && errno == ENOENT) {
    const char* name = nullptr;
    const int parent = OpenParent(child, op, &name);
    if (parent < 0) return -1;
    if (!IsOurs(child, parent)) {
      errno = ENOENT;
      return -1;
    }
    if (directory) {
      if (::mkdirat(parent, name, 0755) != 0 && errno != EEXIST) return -1;
    } else {
      const int file = ::openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0644);
      if (file < 0) return -1;
      ::close(file);
    }
    ::close(parent);
    fd = sys::OpenAt2(BaseOf(child), path, O_PATH, kTarget);
  }
  if (fd < 0) return -1;
  sys::MountIdentity target, root;
  if (!sys::IdentifyMount(fd, target) || !sys::IdentifyMount(BaseOf(child), root)) return -1;
  if (target.mount == root.mount && target.inode == root.inode) {
    errno = ELOOP;
    return -1;
  }
  return fd;
}

bool Remember(Child& child, int index, int mount, std::uint64_t attributes, bool recursive) {
  sys::MountIdentity identity;
  if (!sys::IdentifyMount(mount, identity)) return FailOp(child, index, Call::kStat);
  child.data.placed[index] = {identity.mount, attributes, recursive, false};
  return true;
}

bool SetAttributes(Child& child, int index, int mount, std::uint64_t attributes, bool recursive) {
  const sys::MountAttributes set{.set = attributes, .clear = 0, .propagation = MS_PRIVATE, .userns_fd = 0};
  if (sys::MountSetattr(mount, recursive ? sys::kRecursive : 0, set) != 0)
    return FailOp(child, index, Call::kMountSetattr);
  return true;
}

// A clone of a host path. -1 with failure recorded; -2: it is not there, and that is allowed.
int CloneSource(Child& child, int index, const PreparedOp& op, bool* directory) {
  if (const int made = child.data.attached[index].get(); made >= 0) {
    sys::MountIdentity identity;
    if (!sys::IdentifyMount(made, identity)) {
      FailOp(child, index, Call::kStat);
      return -1;
    }
    *directory = S_ISDIR(identity.mode);
    return made;
  }
  const std::uint64_t resolve = RESOLVE_NO_MAGICLINKS | (op.op->no_follow ? RESOLVE_NO_SYMLINKS : 0);
  const int source = sys::OpenAt2(AT_FDCWD, op.op->source.c_str(), O_PATH, resolve);
  if (source < 0) {
    if (errno == ENOENT && op.op->optional) return -2;
    FailOp(child, index, Call::kOpenSource);
    return -1;
  }
  sys::MountIdentity identity;
  if (!sys::IdentifyMount(source, identity)) {
    FailOp(child, index, Call::kStat);
    return -1;
  }
  *directory = S_ISDIR(identity.mode);
  const unsigned flags = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH;
  const int mount = sys::OpenTree(source, "", flags | (op.op->recursive && *directory ? sys::kRecursive : 0));
  const int err = errno;
  ::close(source);
  if (mount < 0) FailOp(child, index, Call::kOpenTree, err);
  return mount;
}

// A new file system, not yet placed.
int NewFilesystem(Child& child, int index, const char* type, const FsOption* options, std::size_t count,
                  std::uint64_t attributes) {
  const auto failed = [&](Call call) {
    FailOp(child, index, call);
    return -1;
  };
  const int fs = sys::Fsopen(type);
  if (fs < 0) return failed(Call::kFsopen);
  for (std::size_t i = 0; i < count; ++i) {
    const auto command =
        options[i].value == nullptr ? sys::FsconfigCommand::kSetFlag : sys::FsconfigCommand::kSetString;
    if (sys::Fsconfig(fs, command, options[i].key, options[i].value) != 0) return failed(Call::kFsconfig);
  }
  if (sys::Fsconfig(fs, sys::FsconfigCommand::kCreate, nullptr, nullptr) != 0) return failed(Call::kFsconfig);
  const int mount = sys::Fsmount(fs, attributes);
  if (mount < 0) return failed(Call::kFsmount);
  ::close(fs);
  return mount;
}

int NewFilesystem(Child& child, int index, const PreparedOp& op, const char* type, std::uint64_t attributes) {
  return NewFilesystem(child, index, type, op.options.data(), op.options.size(), attributes);
}

// ---- the operations ----

bool DoRootTmpfs(Child& child, int index, const PreparedOp& op) {
  // Written to until it is sealed: read-only comes last.
  const int mount = NewFilesystem(child, index, op, "tmpfs", op.attributes & ~sys::kAttrReadOnly);
  if (mount < 0) return false;
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  child.root = mount;
  AddOwn(child, mount);
  return Remember(child, index, mount, op.attributes & ~sys::kAttrReadOnly, false);
}

bool DoRootBind(Child& child, int index, const PreparedOp& op) {
  bool directory = false;
  const int mount = CloneSource(child, index, op, &directory);
  if (mount < 0) return mount == -2 ? FailOp(child, index, Call::kOpenSource, ENOENT) : false;
  if (!directory) return FailOp(child, index, Call::kOpenSource, ENOTDIR);
  if (!SetAttributes(child, index, mount, op.attributes, op.op->recursive)) return false;
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  child.root = mount;
  return Remember(child, index, mount, op.attributes, op.op->recursive);
}

// The skeleton is attached as well: overlayfs takes layers only from the mount namespace it is mounted in.
bool DoRootOverlay(Child& child, int index, const PreparedOp&) {
  constexpr FsOption kMode{"mode", "0755"};
  const int mount = NewFilesystem(child, index, "tmpfs", &kMode, 1, sys::kAttrNoSuid | sys::kAttrNoDev);
  if (mount < 0) return false;
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  child.skeleton = mount;
  child.overlay_op = index;
  AddOwn(child, mount);
  return true;
}

char* PutNumber(char* at, int number) {
  char digits[12];
  int count = 0;
  do digits[count++] = static_cast<char>('0' + number % 10);
  while ((number /= 10) > 0);
  while (count > 0) *at++ = digits[--count];
  return at;
}
char* PutWord(char* at, const char* word) {
  const std::size_t length = std::strlen(word);
  std::memcpy(at, word, length);
  return at + length;
}

// All skeleton operations are done: a read-only overlay of two lower layers, the skeleton above the rootfs. Attributes
// that the image's files may carry for overlayfs itself (redirects, metadata-only copies) are not followed.
bool FinishOverlay(Child& child) {
  const int index = child.overlay_op;
  const PreparedOp& op = child.data.ops[index];
  const std::uint64_t resolve = RESOLVE_NO_MAGICLINKS | (op.op->no_follow ? RESOLVE_NO_SYMLINKS : 0);
  // One that was verified is attached for as long as the overlay is made, as the skeleton is.
  const int verified = child.data.attached[index].get();
  const int source =
      verified >= 0 ? verified : sys::OpenAt2(AT_FDCWD, op.op->source.c_str(), O_PATH | O_DIRECTORY, resolve);
  if (source < 0) return FailOp(child, index, Call::kOpenSource);
  if (verified >= 0 && sys::MoveMount(verified, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  char layers[96];
  char* at = PutWord(layers, "/proc/self/fd/");
  at = PutNumber(at, child.skeleton);
  at = PutWord(at, ":/proc/self/fd/");
  at = PutNumber(at, source);
  *at = '\0';
  const FsOption options[] = {{"lowerdir", layers}, {"redirect_dir", "nofollow"}, {"metacopy", "off"}};
  const int mount = NewFilesystem(child, index, "overlay", options, 3, op.attributes);
  if (mount < 0) return false;
  // The overlay has clones of its layers. Left attached, the skeleton would be what EnterRoot takes off in the place of
  // the host's root, which would then lie above the new one: "/.." would lead there.
  for (const int layer : {verified, child.skeleton}) {
    if (layer < 0) continue;
    char attached[32];
    *PutNumber(PutWord(attached, "/proc/self/fd/"), layer) = '\0';
    if (::umount2(attached, MNT_DETACH) != 0) return FailOp(child, index, Call::kMoveMount);
  }
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  ::close(source);
  ::close(child.skeleton);
  child.skeleton = -1;
  child.root = mount;
  return Remember(child, index, mount, op.attributes, false);
}

// Of a user namespace that does not have the id of an owner: what is ours stays the workload's, who alone is there.
bool LacksId(const Child& child) {
  return errno == EINVAL && (child.data.nested || child.go >= 0);
}

bool Own(Child& child, int index, int fd, const MountOp& op) {
  if (::fchown(fd, op.uid, op.gid) != 0 && !LacksId(child)) return FailOp(child, index, Call::kChown);
  if (::fchmod(fd, op.mode) != 0) return FailOp(child, index, Call::kChmod);
  return true;
}

bool DoDirectory(Child& child, int index, const PreparedOp& op) {
  int fd = sys::OpenAt2(BaseOf(child), op.op->target.c_str(), O_RDONLY | O_DIRECTORY, kTarget);
  if (fd < 0 && errno == ENOENT) {
    const char* name = nullptr;
    const int parent = OpenParent(child, op, &name);
    if (parent < 0) return FailOp(child, index, Call::kOpenTarget);
    if (!IsOurs(child, parent)) return FailOp(child, index, Call::kMkdir, ENOENT);
    if (::mkdirat(parent, name, 0700) != 0) return FailOp(child, index, Call::kMkdir);
    fd = ::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    ::close(parent);
  }
  if (fd < 0) return FailOp(child, index, Call::kOpenTarget);
  const bool good = !IsOurs(child, fd) || Own(child, index, fd, *op.op);
  ::close(fd);
  return good;
}

bool DoFile(Child& child, int index, const PreparedOp& op) {
  const char* name = nullptr;
  const int parent = OpenParent(child, op, &name);
  if (parent < 0) return FailOp(child, index, Call::kOpenTarget);
  if (!IsOurs(child, parent)) return FailOp(child, index, Call::kOpen, EROFS);
  if (::unlinkat(parent, name, 0) != 0 && errno != ENOENT) return FailOp(child, index, Call::kUnlink);
  const int fd = ::openat(parent, name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) return FailOp(child, index, Call::kOpen);
  const std::string& data = op.op->data;
  for (std::size_t done = 0; done < data.size();) {
    const ssize_t wrote = ::write(fd, data.data() + done, data.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return FailOp(child, index, Call::kWrite);
    done += static_cast<std::size_t>(wrote);
  }
  if (!Own(child, index, fd, *op.op)) return false;
  ::close(fd);
  ::close(parent);
  return true;
}

bool DoSymlink(Child& child, int index, const PreparedOp& op) {
  const char* name = nullptr;
  const int parent = OpenParent(child, op, &name);
  if (parent < 0) return FailOp(child, index, Call::kOpenTarget);
  const std::string& text = op.op->data;
  if (IsOurs(child, parent) && ::symlinkat(text.c_str(), parent, name) == 0) {
    if (::fchownat(parent, name, op.op->uid, op.op->gid, AT_SYMLINK_NOFOLLOW) != 0 && !LacksId(child))
      return FailOp(child, index, Call::kChown);
    ::close(parent);
    return true;
  }
  // The same link that is there already will do.
  char there[kPathMax];
  const ssize_t size = ::readlinkat(parent, name, there, sizeof there);
  if (size != static_cast<ssize_t>(text.size()) || std::memcmp(there, text.data(), text.size()) != 0)
    return FailOp(child, index, Call::kSymlink, size >= 0 ? EEXIST : errno);
  ::close(parent);
  return true;
}

bool Place(Child& child, int index, const PreparedOp& op, int mount, bool directory, std::uint64_t attributes,
           bool recursive) {
  const int target = OpenMountPoint(child, op, directory);
  if (target < 0) return FailOp(child, index, Call::kOpenTarget);
  if (sys::MoveMount(mount, target) != 0) return FailOp(child, index, Call::kMoveMount);
  ::close(target);
  return Remember(child, index, mount, attributes, recursive);
}

bool DoBind(Child& child, int index, const PreparedOp& op) {
  bool directory = false;
  const int mount = CloneSource(child, index, op, &directory);
  if (mount < 0) return mount == -2;
  if (!SetAttributes(child, index, mount, op.attributes, op.op->recursive)) return false;
  const bool good = Place(child, index, op, mount, directory, op.attributes, op.op->recursive);
  ::close(mount);
  return good;
}

// A file of the secrets, which have been placed by now, at a place of its own.
bool DoSecret(Child& child, int index, const PreparedOp& op) {
  const int source = sys::OpenAt2(BaseOf(child), op.op->source.c_str(), O_PATH, kTarget);
  if (source < 0) return FailOp(child, index, Call::kOpenSource);
  const int mount = sys::OpenTree(source, "", sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH);
  if (mount < 0) return FailOp(child, index, Call::kOpenTree);
  if (!SetAttributes(child, index, mount, op.attributes, false)) return false;
  const bool good = Place(child, index, op, mount, false, op.attributes, false);
  ::close(source);
  ::close(mount);
  return good;
}

bool DoFilesystem(Child& child, int index, const PreparedOp& op) {
  const int mount = NewFilesystem(child, index, op, op.op->fstype.c_str(), op.attributes);
  if (mount < 0) return false;
  if (!Place(child, index, op, mount, true, op.attributes, false)) return false;
  if (op.op->fstype == "tmpfs") AddOwn(child, mount);
  ::close(mount);
  return true;
}

bool DoMask(Child& child, int index, const PreparedOp& op) {
  const int target = sys::OpenAt2(BaseOf(child), op.op->target.c_str(), O_PATH, kTarget);
  if (target < 0) return errno == ENOENT || FailOp(child, index, Call::kOpenTarget);
  sys::MountIdentity identity;
  if (!sys::IdentifyMount(target, identity)) return FailOp(child, index, Call::kStat);
  constexpr std::uint64_t kFile = sys::kAttrReadOnly | sys::kAttrNoSuid | sys::kAttrNoExec;
  constexpr std::uint64_t kDirectory = kFile | sys::kAttrNoDev;
  constexpr unsigned kClone = sys::kOpenTreeClone | sys::kOpenTreeCloexec;
  const bool directory = S_ISDIR(identity.mode);
  int mount = -1;
  if (!directory) {
    // The host's own null device, and seen to be it: an image may have put anything at its own (CVE-2025-31133).
    mount = sys::OpenTree(AT_FDCWD, "/dev/null", kClone | AT_SYMLINK_NOFOLLOW);
    struct stat st{};
    if (mount < 0) return FailOp(child, index, Call::kOpenTree);
    if (::fstat(mount, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
      return FailOp(child, index, Call::kOpenSource, ENODEV);
    if (!SetAttributes(child, index, mount, kFile, false)) return false;
  } else if (child.mask_directory < 0) {
    constexpr FsOption kOptions[] = {{"mode", "0555"}, {"size", "4k"}, {"nr_inodes", "2"}};
    mount = NewFilesystem(child, index, "tmpfs", kOptions, 3, kDirectory);
    if (mount < 0) return false;
  } else {
    mount = sys::OpenTree(child.mask_directory, "", kClone | AT_EMPTY_PATH);
    if (mount < 0) return FailOp(child, index, Call::kOpenTree);
  }
  if (sys::MoveMount(mount, target) != 0) return FailOp(child, index, Call::kMoveMount);
  ::close(target);
  if (!Remember(child, index, mount, directory ? kDirectory : kFile, false)) return false;
  if (directory && child.mask_directory < 0)
    child.mask_directory = mount;
  else
    ::close(mount);
  return true;
}

// Adds attributes to a mount that an earlier operation placed.
bool Tighten(Child& child, int index, int mount, std::uint64_t attributes, bool recursive) {
  sys::MountIdentity identity;
  if (!sys::IdentifyMount(mount, identity)) return FailOp(child, index, Call::kStat);
  if (!SetAttributes(child, index, mount, attributes, recursive)) return false;
  for (Placed& placed : child.data.placed)
    if (placed.mount == identity.mount) placed.attributes |= attributes;
  return true;
}

bool DoReadOnly(Child& child, int index, const PreparedOp& op) {
  const int target = sys::OpenAt2(BaseOf(child), op.op->target.c_str(), O_PATH, kTarget);
  if (target < 0) return errno == ENOENT || FailOp(child, index, Call::kOpenTarget);
  sys::MountIdentity identity;
  if (!sys::IdentifyMount(target, identity)) return FailOp(child, index, Call::kStat);
  const std::uint64_t attributes = op.attributes | sys::kAttrReadOnly;
  if (identity.is_mount_root) {
    const bool good = Tighten(child, index, target, attributes, op.op->recursive);
    ::close(target);
    return good;
  }
  const unsigned flags = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH;
  const int mount = sys::OpenTree(target, "", flags | (S_ISDIR(identity.mode) ? sys::kRecursive : 0));
  if (mount < 0) return FailOp(child, index, Call::kOpenTree);
  if (!SetAttributes(child, index, mount, attributes, true)) return false;
  if (sys::MoveMount(mount, target) != 0) return FailOp(child, index, Call::kMoveMount);
  const bool good = Remember(child, index, mount, attributes, true);
  ::close(mount);
  ::close(target);
  return good;
}

bool Do(Child& child, int index, const PreparedOp& op) {
  switch (op.op->type) {
    case MountOp::Type::kRootTmpfs:
      return DoRootTmpfs(child, index, op);
    case MountOp::Type::kRootBind:
      return DoRootBind(child, index, op);
    case MountOp::Type::kRootOverlay:
      return DoRootOverlay(child, index, op);
    case MountOp::Type::kDirectory:
      return DoDirectory(child, index, op);
    case MountOp::Type::kFile:
      return DoFile(child, index, op);
    case MountOp::Type::kSymlink:
      return DoSymlink(child, index, op);
    case MountOp::Type::kBind:
    case MountOp::Type::kContext:
    case MountOp::Type::kSecrets:
      return DoBind(child, index, op);
    case MountOp::Type::kSecretFile:
      return true;  // it is in the mount of kSecrets
    case MountOp::Type::kSecret:
      return DoSecret(child, index, op);
    case MountOp::Type::kFilesystem:
      return DoFilesystem(child, index, op);
    case MountOp::Type::kMask:
      return DoMask(child, index, op);
    case MountOp::Type::kReadOnly:
      return DoReadOnly(child, index, op);
    case MountOp::Type::kSealRoot:
      return Tighten(child, index, child.root, sys::kAttrReadOnly, false);
  }
  return FailOp(child, index, Call::kNone, EINVAL);
}

}  // namespace

bool BuildRoot(Child& child) {
  ::umask(0);
  const auto& ops = child.data.ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (child.skeleton >= 0 && child.overlay_op != static_cast<int>(i) && !ops[i].op->skeleton && !FinishOverlay(child))
      return false;
    if (!Do(child, static_cast<int>(i), ops[i])) return false;
  }
  return child.skeleton < 0 || FinishOverlay(child);
}

}  // namespace nucleus::process
