// The root file system, built on file descriptors.
//
// The new root is attached above "/" of our private mount namespace (the task's own root stays the mount below it, so
// host paths resolve as before and nothing of the host is hidden by a staging directory). Every target is then looked
// up with openat2(RESOLVE_IN_ROOT) below the new root's descriptor; child_target.hpp says how.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <climits>
#include <cstring>

#include "actuators/process/child_target.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::process {

namespace {

bool FailOp(Child& child, int index, Call call, int err = errno) {
  return child.Fail(Step::kMount, call, index, err);
}

bool Identify(Child& child, int index, int fd, sys::MountIdentity& identity) {
  return sys::IdentifyMount(fd, identity) || FailOp(child, index, Call::kStat);
}

void Note(Child& child, int index, const sys::MountIdentity& identity, std::uint64_t attributes, bool recursive) {
  child.data.placed[static_cast<std::size_t>(index)] = {identity.mount, attributes, recursive, false};
}

bool Remember(Child& child, int index, int mount, std::uint64_t attributes, bool recursive) {
  sys::MountIdentity identity;
  if (!Identify(child, index, mount, identity)) return false;
  Note(child, index, identity, attributes, recursive);
  return true;
}

// The mount is the root from here on.
bool BecomeRoot(Child& child, int index, int mount, std::uint64_t attributes, bool recursive, bool own) {
  sys::MountIdentity identity;
  if (!Identify(child, index, mount, identity)) return false;
  child.root = mount;
  SetBase(child, identity);
  if (own) AddOwn(child, identity);
  Note(child, index, identity, attributes, recursive);
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
  const std::uint64_t attributes = op.attributes & ~sys::kAttrReadOnly;
  const int mount = NewFilesystem(child, index, op, "tmpfs", attributes);
  if (mount < 0) return false;
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  return BecomeRoot(child, index, mount, attributes, false, true);
}

bool DoRootBind(Child& child, int index, const PreparedOp& op) {
  bool directory = false;
  const int mount = CloneSource(child, index, op, &directory);
  if (mount < 0) return mount == -2 ? FailOp(child, index, Call::kOpenSource, ENOENT) : false;
  if (!directory) return FailOp(child, index, Call::kOpenSource, ENOTDIR);
  if (!SetAttributes(child, index, mount, op.attributes, op.op->recursive)) return false;
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  return BecomeRoot(child, index, mount, op.attributes, op.op->recursive, false);
}

// The skeleton is attached as well: overlayfs takes layers only from the mount namespace it is mounted in.
bool DoRootOverlay(Child& child, int index, const PreparedOp&) {
  constexpr FsOption kMode{"mode", "0755"};
  const int mount = NewFilesystem(child, index, "tmpfs", &kMode, 1, sys::kAttrNoSuid | sys::kAttrNoDev);
  if (mount < 0) return false;
  if (sys::MoveMount(mount, child.old_root) != 0) return FailOp(child, index, Call::kMoveMount);
  sys::MountIdentity identity;
  if (!Identify(child, index, mount, identity)) return false;
  child.skeleton = mount;
  child.overlay_op = index;
  SetBase(child, identity);
  AddOwn(child, identity);
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
  return BecomeRoot(child, index, mount, op.attributes, false, false);
}

// What we make belongs to us as it is made, with the mode it was made with.
bool IsAsMade(const Child& child, const MountOp& op, const Spot& spot) {
  constexpr std::uint32_t kLost = S_ISUID | S_ISGID;  // mkdir(2) and a write may drop them
  return op.uid == child.uid && op.gid == child.gid && (op.mode & kLost) == 0 && !spot.setgid;
}

// Of a user namespace that does not have the id of an owner: what is ours stays the workload's, who alone is there.
bool LacksId(const Child& child) {
  return errno == EINVAL && (child.data.nested || child.data.launch.user_namespace.enabled);
}

bool Own(Child& child, int index, int fd, const MountOp& op) {
  if (::fchown(fd, op.uid, op.gid) != 0 && !LacksId(child)) return FailOp(child, index, Call::kChown);
  if (::fchmod(fd, op.mode) != 0) return FailOp(child, index, Call::kChmod);
  return true;
}

// One that is there already; in a file system of ours it is made to be as asked.
bool AdoptDirectory(Child& child, int index, const MountOp& op) {
  const int fd = OpenTarget(child, op.target.c_str(), O_RDONLY | O_DIRECTORY);
  if (fd < 0) return FailOp(child, index, Call::kOpenTarget);
  sys::MountIdentity identity;
  if (!Identify(child, index, fd, identity)) return false;
  const bool good = !IsOurs(child, identity) || Own(child, index, fd, op);
  ::close(fd);
  return good;
}

bool DoDirectory(Child& child, int index, const PreparedOp& prepared) {
  const MountOp& op = *prepared.op;
  Spot spot;
  if (!FindSpot(child, op, spot)) return FailOp(child, index, Call::kOpenTarget);
  if (!spot.ours) return AdoptDirectory(child, index, op);
  const bool as_made = IsAsMade(child, op, spot);
  if (::mkdirat(spot.parent, spot.name, as_made ? op.mode : 0700) != 0)
    return errno == EEXIST ? AdoptDirectory(child, index, op) : FailOp(child, index, Call::kMkdir);
  return as_made || AdoptDirectory(child, index, op);
}

int CreateFile(const Spot& spot, std::uint32_t mode) {
  return ::openat(spot.parent, spot.name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, mode);
}

bool WriteWhole(int fd, const std::string& data) {
  for (std::size_t done = 0; done < data.size();) {
    const ssize_t wrote = ::write(fd, data.data() + done, data.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<std::size_t>(wrote);
  }
  return true;
}

bool DoFile(Child& child, int index, const PreparedOp& prepared) {
  const MountOp& op = *prepared.op;
  Spot spot;
  if (!FindSpot(child, op, spot)) return FailOp(child, index, Call::kOpenTarget);
  if (!spot.ours) return FailOp(child, index, Call::kOpen, EROFS);
  const bool as_made = IsAsMade(child, op, spot);
  // What most are: only there to be mounted on.
  if (as_made && op.data.empty() && ::mknodat(spot.parent, spot.name, S_IFREG | op.mode, 0) == 0) return true;
  const std::uint32_t mode = as_made ? op.mode : 0600;
  int fd = CreateFile(spot, mode);
  if (fd < 0 && errno == EEXIST) {
    if (::unlinkat(spot.parent, spot.name, 0) != 0) return FailOp(child, index, Call::kUnlink);
    fd = CreateFile(spot, mode);
  }
  if (fd < 0) return FailOp(child, index, Call::kOpen);
  if (!WriteWhole(fd, op.data)) return FailOp(child, index, Call::kWrite);
  if (!as_made && !Own(child, index, fd, op)) return false;
  ::close(fd);
  return true;
}

bool DoSymlink(Child& child, int index, const PreparedOp& prepared) {
  const MountOp& op = *prepared.op;
  Spot spot;
  if (!FindSpot(child, op, spot)) return FailOp(child, index, Call::kOpenTarget);
  const std::string& text = op.data;
  if (spot.ours && ::symlinkat(text.c_str(), spot.parent, spot.name) == 0) {
    if (op.uid == child.uid && op.gid == child.gid && !spot.setgid) return true;
    return ::fchownat(spot.parent, spot.name, op.uid, op.gid, AT_SYMLINK_NOFOLLOW) == 0 || LacksId(child) ||
           FailOp(child, index, Call::kChown);
  }
  // The same link that is there already will do.
  char there[PATH_MAX];
  const ssize_t size = ::readlinkat(spot.parent, spot.name, there, sizeof there);
  if (size != static_cast<ssize_t>(text.size()) || std::memcmp(there, text.data(), text.size()) != 0)
    return FailOp(child, index, Call::kSymlink, size >= 0 ? EEXIST : errno);
  return true;
}

bool Place(Child& child, int index, int mount, bool directory, std::uint64_t attributes, bool recursive) {
  return PlaceAt(child, index, mount, directory) && Remember(child, index, mount, attributes, recursive);
}

bool DoBind(Child& child, int index, const PreparedOp& op) {
  bool directory = false;
  const int mount = CloneSource(child, index, op, &directory);
  if (mount < 0) return mount == -2;
  if (!SetAttributes(child, index, mount, op.attributes, op.op->recursive)) return false;
  const bool good = Place(child, index, mount, directory, op.attributes, op.op->recursive);
  ::close(mount);
  return good;
}

// A file of the secrets, which have been placed by now, at a place of its own.
bool DoSecret(Child& child, int index, const PreparedOp& op) {
  const int source = OpenTarget(child, op.op->source.c_str(), O_PATH);
  if (source < 0) return FailOp(child, index, Call::kOpenSource);
  const int mount = sys::OpenTree(source, "", sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH);
  if (mount < 0) return FailOp(child, index, Call::kOpenTree);
  if (!SetAttributes(child, index, mount, op.attributes, false)) return false;
  const bool good = Place(child, index, mount, false, op.attributes, false);
  ::close(source);
  ::close(mount);
  return good;
}

bool DoFilesystem(Child& child, int index, const PreparedOp& op) {
  const int made = child.data.attached[index].get();
  const int mount = made >= 0 ? made : NewFilesystem(child, index, op, op.op->fstype.c_str(), op.attributes);
  if (mount < 0) return false;
  sys::MountIdentity identity;
  if (!PlaceAt(child, index, mount, true) || !Identify(child, index, mount, identity)) return false;
  Note(child, index, identity, op.attributes, false);
  if (op.op->fstype == "tmpfs") AddOwn(child, identity);
  ::close(mount);
  return true;
}

constexpr std::uint64_t kMaskFile = sys::kAttrReadOnly | sys::kAttrNoSuid | sys::kAttrNoExec;
constexpr std::uint64_t kMaskDirectory = kMaskFile | sys::kAttrNoDev;

// The host's own null device, and seen to be it: an image may have put anything at its own (CVE-2025-31133).
int FirstMaskFile(Child& child, int index) {
  const unsigned flags = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_SYMLINK_NOFOLLOW;
  const int mount = sys::OpenTree(AT_FDCWD, "/dev/null", flags);
  struct stat st{};
  bool good = mount >= 0 || FailOp(child, index, Call::kOpenTree);
  if (good && (::fstat(mount, &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3)))
    good = FailOp(child, index, Call::kOpenSource, ENODEV);
  return good && SetAttributes(child, index, mount, kMaskFile, false) ? mount : -1;
}

int FirstMaskDirectory(Child& child, int index) {
  constexpr FsOption kOptions[] = {{"mode", "0555"}, {"size", "4k"}, {"nr_inodes", "2"}};
  return NewFilesystem(child, index, "tmpfs", kOptions, 3, kMaskDirectory);
}

// Over whatever is there. The first mask of its kind is made, the others are clones of it, attributes included.
bool DoMask(Child& child, int index, const PreparedOp& op) {
  const int target = OpenTarget(child, op.op->target.c_str(), O_PATH);
  if (target < 0) return errno == ENOENT || FailOp(child, index, Call::kOpenTarget);
  sys::MountIdentity identity;
  if (!Identify(child, index, target, identity)) return false;
  const bool directory = S_ISDIR(identity.mode);
  int& first = directory ? child.mask_directory : child.mask_file;
  const bool is_first = first < 0;
  int mount = -1;
  if (is_first) {
    mount = first = directory ? FirstMaskDirectory(child, index) : FirstMaskFile(child, index);
    if (mount < 0) return false;
  } else {
    mount = sys::OpenTree(first, "", sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH);
    if (mount < 0) return FailOp(child, index, Call::kOpenTree);
  }
  if (sys::MoveMount(mount, target) != 0) return FailOp(child, index, Call::kMoveMount);
  ::close(target);
  ForgetBelow(child, op.op->target.c_str());
  if (!Remember(child, index, mount, directory ? kMaskDirectory : kMaskFile, false)) return false;
  if (!is_first) ::close(mount);
  return true;
}

// Adds attributes to a mount that an earlier operation placed.
bool Tighten(Child& child, int index, int mount, const sys::MountIdentity& identity, std::uint64_t attributes,
             bool recursive) {
  if (!SetAttributes(child, index, mount, attributes, recursive)) return false;
  for (Placed& placed : child.data.placed)
    if (placed.mount == identity.mount) placed.attributes |= attributes;
  return true;
}

bool DoReadOnly(Child& child, int index, const PreparedOp& op) {
  const int target = OpenTarget(child, op.op->target.c_str(), O_PATH);
  if (target < 0) return errno == ENOENT || FailOp(child, index, Call::kOpenTarget);
  sys::MountIdentity identity;
  if (!Identify(child, index, target, identity)) return false;
  const std::uint64_t attributes = op.attributes | sys::kAttrReadOnly;
  if (identity.is_mount_root) {
    const bool good = Tighten(child, index, target, identity, attributes, op.op->recursive);
    ::close(target);
    return good;
  }
  const unsigned flags = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH;
  const int mount = sys::OpenTree(target, "", flags | (S_ISDIR(identity.mode) ? sys::kRecursive : 0));
  if (mount < 0) return FailOp(child, index, Call::kOpenTree);
  if (!SetAttributes(child, index, mount, attributes, true)) return false;
  if (sys::MoveMount(mount, target) != 0) return FailOp(child, index, Call::kMoveMount);
  ForgetBelow(child, op.op->target.c_str());
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
      return Tighten(child, index, child.root, child.base, sys::kAttrReadOnly, false);
  }
  return FailOp(child, index, Call::kNone, EINVAL);
}

}  // namespace

bool BuildRoot(Child& child) {
  ::umask(0);
  child.uid = ::geteuid();
  child.gid = ::getegid();
  const auto& ops = child.data.ops;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (child.skeleton >= 0 && child.overlay_op != static_cast<int>(i) && !ops[i].op->skeleton && !FinishOverlay(child))
      return false;
    if (!Do(child, static_cast<int>(i), ops[i])) return false;
  }
  return child.skeleton < 0 || FinishOverlay(child);
}

}  // namespace nucleus::process
