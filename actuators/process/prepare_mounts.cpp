// Mounts that are filled or verified while the host's files are still at hand, before the clone: detached, so that
// nobody sees them, and placed in the child by descriptor. What was verified is so the very mount that is used.
#include <sched.h>

#include <algorithm>
#include <cstring>

#include "actuators/process/child_data.hpp"
#include "actuators/process/user_namespace.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/secret.hpp"
#include "attest/verify.hpp"
#include "context/copy.hpp"
#include "spec/core/units.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

using Type = MountOp::Type;

Result<sys::Fd> OpenSource(const MountOp& op, int flags) {
  const std::uint64_t resolve = RESOLVE_NO_MAGICLINKS | (op.no_follow ? RESOLVE_NO_SYMLINKS : 0);
  sys::Fd fd(sys::OpenAt2(AT_FDCWD, op.source.c_str(), static_cast<std::uint64_t>(flags), resolve));
  if (!fd) return FailSys("open", op.source);
  return fd;
}

struct TmpfsOption {
  const char* key;
  const char* value;  // null: a flag
};
Result<sys::Fd> NewTmpfs(const MountOp& op, std::initializer_list<TmpfsOption> options) {
  const sys::Fd fs(sys::Fsopen("tmpfs"));
  if (!fs) return FailSys("fsopen", op.target);
  for (const auto& option : options) {
    const auto command = option.value == nullptr ? sys::FsconfigCommand::kSetFlag : sys::FsconfigCommand::kSetString;
    if (sys::Fsconfig(fs.get(), command, option.key, option.value) != 0)
      return Fail(Error::Sys("fsconfig", op.target).In(option.key));
  }
  if (sys::Fsconfig(fs.get(), sys::FsconfigCommand::kCreate, nullptr, nullptr) != 0)
    return FailSys("fsconfig", op.target);
  sys::Fd mount(sys::Fsmount(fs.get(), sys::kAttrNoSuid | sys::kAttrNoDev));
  if (!mount) return FailSys("fsmount", op.target);
  return mount;
}

// ---- what a user namespace cannot reach ----

// A clone of a host path, for a child that has no power over the directories on the way there. Where the file system
// can have its owners mapped they are seen inside as on the host; where not, as nobody's.
Result<sys::Fd> Cloned(const MountOp& op) {
  const sys::Fd source = TRY(OpenSource(op, O_PATH));
  struct stat st{};
  if (::fstat(source.get(), &st) != 0) return FailSys("stat", op.source);
  const unsigned recursive = op.recursive && S_ISDIR(st.st_mode) ? sys::kRecursive : 0;
  const unsigned flags = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH | recursive;
  sys::Fd clone(sys::OpenTree(source.get(), "", flags));
  if (!clone) return FailSys("open_tree", op.source);
  return clone;
}

// Where the file system cannot have its owners mapped they are nobody's inside, and open to others as such.
void MapOwners(const sys::Fd& clone, const MountOp& op, const sys::Fd& space) {
  if (!space || !op.id_mapped) return;
  constexpr std::uint64_t kIdMapped = 0x00100000;  // MOUNT_ATTR_IDMAP
  const sys::MountAttributes mapped{
      .set = kIdMapped, .clear = 0, .propagation = 0, .userns_fd = static_cast<std::uint64_t>(space.get())};
  (void)sys::MountSetattr(clone.get(), op.recursive ? sys::kRecursive : 0, mapped);
}

void Begin(const attest::WalkOptions& walk, const char* what) {
  if (walk.progress != nullptr) walk.progress->Begin(what);
}

// ---- an attested root ----

Result<sys::Fd> VerifiedRoot(const MountOp& op, const sys::Fd& space, const attest::WalkOptions& walk) {
  MountOp alone = op;
  alone.recursive = false;  // what is mounted in it is not in its manifest
  sys::Fd clone = TRY(Cloned(alone));
  const sys::MountAttributes read_only{.set = sys::kAttrReadOnly, .clear = 0, .propagation = 0, .userns_fd = 0};
  if (sys::MountSetattr(clone.get(), 0, read_only) != 0) return FailSys("mount_setattr", op.source);
  Begin(walk, "verifying the rootfs");
  const auto verdict = TRY_IN("attestation of the rootfs", attest::Verify(clone.get(), op.source, walk));
  if (verdict.difference) return Fail(attest::AsError(*verdict.difference, op.source));
  // Somebody may have sealed it anew, after a change.
  if (verdict.manifest.Hex() != op.data) {
    return Fail(Error::Of(ErrorCode::kStale, "verify", op.source, "its manifest is not the one that was planned with")
                    .Hint("plan again, and look at what has changed in it"));
  }
  MapOwners(clone, alone, space);  // what was compared are the owners on the host
  return clone;
}

// ---- contexts ----

struct ContextWords {
  std::vector<std::string> include, exclude;
  std::string size;  // "": as large as the kernel makes a tmpfs
};

ContextWords ReadWords(std::string_view data) {
  ContextWords words;
  while (!data.empty()) {
    const auto line = data.substr(0, data.find('\n'));
    data.remove_prefix(std::min(line.size() + 1, data.size()));
    if (line.starts_with('+')) words.include.emplace_back(line.substr(1));
    if (line.starts_with('-')) words.exclude.emplace_back(line.substr(1));
    if (line.starts_with('=')) words.size = line.substr(1);
  }
  return words;
}

// A walk names what is below the context.
Error Below(const MountOp& op, Error error) {
  error.subject = op.source + (error.subject.empty() ? "" : "/" + error.subject);
  return error;
}

// What was to be copied, beside the room that there was.
Error TooLarge(Error error, const MountOp& op, const ContextWords& words, int source,
               const context::ContextFilter& filter, const attest::WalkOptions& walk) {
  const auto wanted = context::MeasureContext(source, filter, walk);
  if (!wanted) return error;
  const auto limit = ParseBytes(words.size);
  const std::string room = limit ? FormatBytes(*limit) + ", the memory limit" : "half of the machine's memory";
  return Error::Of(
             error.code, "copy", op.source,
             std::to_string(wanted->files) + " files, " + FormatBytes(wanted->bytes) + ", do not fit into " + room)
      .Hint(error.hint);
}

Result<sys::Fd> Context(Buffers& data, const MountOp& op, const attest::WalkOptions& walk) {
  const UserNamespace& maps = data.launch.user_namespace;
  const ContextWords words = ReadWords(op.data);
  const auto filter = TRY(context::ContextFilter::Make(words.include, words.exclude));
  const sys::Fd source = TRY(OpenSource(op, O_PATH | O_DIRECTORY));
  sys::Fd copy = TRY(words.size.empty() ? NewTmpfs(op, {{"mode", "0755"}})
                                        : NewTmpfs(op, {{"mode", "0755"}, {"size", words.size.c_str()}}));
  Digest before{};
  if (op.verify) {
    Begin(walk, "hashing the context");
    before = TRY(context::HashContext(source.get(), filter, walk));
  }
  Begin(walk, "copying the context");
  const context::Owner owner{OutsideUid(maps, op.uid), OutsideGid(maps, op.gid)};
  auto report = context::CopyContext(source.get(), copy.get(), filter, owner, walk);
  if (!report && report.error().sys_errno == ENOSPC)
    return Fail(TooLarge(std::move(report).error(), op, words, source.get(), filter, walk));
  if (!report) return Fail(Below(op, std::move(report).error()));
  if (report->changed > 0) {
    data.warnings.push_back("context " + op.source + ": " + std::to_string(report->changed) +
                            (report->changed == 1 ? " file or directory" : " files or directories") +
                            " changed while it was copied: of these the copy may lack some");
  }
  if (!op.verify) return copy;
  Begin(walk, "hashing the copy");
  if (TRY(context::HashContext(copy.get(), filter, walk)) != before) {
    return Fail(Error::Of(ErrorCode::kConflict, "verify context", op.source, "the copy is not what the source was")
                    .Hint("somebody writes to it: copy it from where nobody does"));
  }
  return copy;
}

// ---- secrets ----

// swapon(8): a header, and a line for each area.
bool MachineSwaps() {
  const auto text = sys::ReadFile("/proc/swaps");
  return !text || text->find('\n') + 1 < text->size();
}

Result<sys::Fd> SecretsTmpfs(const MountOp& op, bool production) {
  constexpr TmpfsOption kMode{"mode", "0755"}, kSize{"size", "64m"};
  if (auto mount = NewTmpfs(op, {kMode, kSize, {"noswap", nullptr}})) return mount;
  if (!production || !MachineSwaps()) return NewTmpfs(op, {kMode, kSize});
  return Fail(Error::Of(ErrorCode::kUnsupported, "keep", "secrets",
                        "this kernel's tmpfs may be swapped out, and the machine has swap")
                  .Hint("switch swap off, or use Linux 6.4 or newer"));
}

Result<sys::Fd> OpenParent(const sys::Fd& top, std::string& name) {
  sys::Fd at(::fcntl(top.get(), F_DUPFD_CLOEXEC, 3));
  for (auto slash = name.find('/'); at && slash != std::string::npos; slash = name.find('/')) {
    const std::string directory = name.substr(0, slash);
    name.erase(0, slash + 1);
    if (::mkdirat(at.get(), directory.c_str(), 0755) == 0) {
      // Whatever the caller's umask is: the workload has to get through.
      if (::fchmodat(at.get(), directory.c_str(), 0755, 0) != 0) return FailSys("chmod", directory);
    } else if (errno != EEXIST) {
      return FailSys("mkdir", directory);
    }
    at.reset(::openat(at.get(), directory.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  }
  if (!at) return FailSys("open", name);
  return at;
}

Result<> PutSecret(const UserNamespace& maps, const sys::Fd& top, const std::string& directory, const MountOp& op) {
  const sys::Fd source = TRY(OpenSource(op, O_RDONLY | O_NONBLOCK));
  const sys::Secret secret = TRY(sys::Secret::Read(source, op.source));
  std::string name = op.target.substr(directory.size() + 1);
  const sys::Fd parent = TRY(OpenParent(top, name));
  const sys::Fd file(::openat(parent.get(), name.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC, 0400));
  if (!file) return FailSys("make", op.target);
  TRY(sys::WriteAll(file.get(), secret.view(), op.target));
  if (::fchown(file.get(), OutsideUid(maps, op.uid), OutsideGid(maps, op.gid)) != 0) return FailSys("chown", op.target);
  if (::fchmod(file.get(), op.mode) != 0) return FailSys("chmod", op.target);
  return {};
}

Result<sys::Fd> Secrets(const Launch& launch, const MountOp& op) {
  sys::Fd top = TRY(SecretsTmpfs(op, launch.production));
  for (const MountOp& file : launch.mounts) {
    if (file.type == Type::kSecretFile) TRY(PutSecret(launch.user_namespace, top, op.target, file));
  }
  return top;
}

Result<sys::Fd> ClonedSource(const Buffers& data, const MountOp& op, const sys::Fd& space) {
  if (!data.launch.user_namespace.enabled) return sys::Fd();
  auto clone = Cloned(op);
  if (!clone && op.optional && clone.error().code == ErrorCode::kNotFound) return sys::Fd();
  if (clone) MapOwners(*clone, op, space);
  return clone;
}

// A sysfs shows the network namespace that it is mounted in, over which the user namespace has no power: so it is made
// here, by a thread that enters it for that.
Result<sys::Fd> SysfsOf(const std::string& netns) {
  const sys::Fd own = TRY(sys::Open("/proc/thread-self/ns/net", O_RDONLY));
  const sys::Fd its = TRY(sys::Open(netns, O_RDONLY));
  if (::setns(its.get(), CLONE_NEWNET) != 0) return FailSys("enter", "network namespace " + netns);
  constexpr std::uint64_t kInert = sys::kAttrReadOnly | sys::kAttrNoSuid | sys::kAttrNoDev | sys::kAttrNoExec;
  Result<sys::Fd> made = FailSys("mount", "sysfs");
  const sys::Fd fs(sys::Fsopen("sysfs"));
  if (fs && sys::Fsconfig(fs.get(), sys::FsconfigCommand::kCreate, nullptr, nullptr) == 0)
    made = sys::Fd(sys::Fsmount(fs.get(), kInert));
  if (!made || !*made) made = FailSys("mount", "sysfs");
  if (::setns(own.get(), CLONE_NEWNET) != 0) return FailSys("setns", "own network namespace");
  return made;
}

Result<sys::Fd> Attached(Buffers& data, const MountOp& op, const sys::Fd& space, const attest::WalkOptions& walk) {
  const Launch& launch = data.launch;
  switch (op.type) {
    case Type::kContext:
      return TRY_IN("context", Context(data, op, walk));
    case Type::kSecrets:
      return TRY_IN("secrets", Secrets(launch, op));
    case Type::kRootBind:
    case Type::kRootOverlay:
      if (op.verify) return VerifiedRoot(op, space, walk);
      return ClonedSource(data, op, space);
    case Type::kBind:
      return ClonedSource(data, op, space);
    case Type::kFilesystem:
      if (op.fstype == "sysfs" && launch.user_namespace.enabled && !launch.netns.empty()) return SysfsOf(launch.netns);
      return sys::Fd();
    default:
      return sys::Fd();
  }
}

}  // namespace

Result<> PrepareAttached(Buffers& data, const attest::WalkOptions& walk) {
  const UserNamespace& maps = data.launch.user_namespace;
  sys::Fd space;
  // Only the machine's own root has its files mapped; mount_setattr(2).
  if (maps.enabled && !data.nested && std::ranges::any_of(data.launch.mounts, &MountOp::id_mapped))
    space = TRY_IN("mapped owners", MakeUserNamespace(maps));
  for (const MountOp& op : data.launch.mounts) {
    sys::Fd mount = TRY(Attached(data, op, space, walk));
    // Above the standard files, which the child puts in place first.
    constexpr int kAbove = 10;
    if (mount) mount.reset(::fcntl(mount.get(), F_DUPFD_CLOEXEC, kAbove));
    data.attached.push_back(std::move(mount));
  }
  return {};
}

}  // namespace nucleus::process
