// Mounts that are filled or verified while the host's files are still at hand, before the clone: detached, so that
// nobody sees them, and placed in the child by descriptor. What was verified is so the very mount that is used.
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "actuators/process/child_data.hpp"
#include "actuators/process/user_namespace.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"
#include "actuators/sys/protections.hpp"
#include "actuators/sys/secret.hpp"
#include "attest/verify.hpp"
#include "context/copy.hpp"
#include "spec/core/paths.hpp"
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

struct Attested {
  std::size_t index = 0;  // of the operation
  attest::Verdict verdict;
};

Result<sys::Fd> VerifiedRoot(const MountOp& op, attest::Verdict& verdict, const attest::WalkOptions& walk) {
  Begin(walk, "verifying the rootfs");
  attest::VerifiedClone sealed = TRY(attest::CloneAsSealed(op.source, op.data, walk));
  verdict = std::move(sealed.verdict);
  return std::move(sealed.clone);
}

bool IsCopied(const MountOp& op) {
  return op.type == Type::kContext || op.type == Type::kSecrets;
}

// When everything else is there: what was done meanwhile has given somebody time to change it.
Result<> FinishVerified(Buffers& data, const Attested& attested, const sys::Fd& space,
                        const attest::WalkOptions& walk) {
  MountOp op = data.launch.mounts[attested.index];
  const sys::Fd& clone = data.attached[attested.index];
  if (std::ranges::any_of(data.launch.mounts, IsCopied)) {
    Begin(walk, "looking at the rootfs again");
    const auto changed =
        TRY_IN("attestation of the rootfs", attest::LookAgain(clone.get(), op.source, attested.verdict, walk));
    if (changed) return Fail(attest::AsError(*changed, op.source));
  }
  op.recursive = false;
  MapOwners(clone, op, space);  // what was compared are the owners on the host
  return {};
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

// ---- mount points in a copy ----

bool IsDirectory(const MountOp& op) {
  return op.type == Type::kBind ? op.recursive : op.type != Type::kSecret;
}

// What stands on the copy itself, and not on another mount in it.
bool StandsOn(const MountOp& context, const MountOp& op, const std::vector<MountOp>& mounts) {
  const auto is_below = [](const MountOp& a, const MountOp& b) {
    return a.target.size() > b.target.size() && IsAtOrBelow(a.target, b.target);
  };
  const auto places = [](const MountOp& mount) {
    return mount.type == Type::kBind || mount.type == Type::kFilesystem || mount.type == Type::kSecret;
  };
  return places(op) && is_below(op, context) && std::ranges::none_of(mounts, [&](const MountOp& between) {
           return places(between) && is_below(op, between) && is_below(between, context);
         });
}

std::unexpected<Error> InTheWay(const MountOp& op, const std::string& path) {
  return Fail(Error::Of(ErrorCode::kInvalid, "mount at", op.target,
                        "what the context has at " + path + " is " + (IsDirectory(op) ? "no directory" : "no file"))
                  .Hint("mount it elsewhere, or leave that out of the context: context_exclude"));
}

// Opens a name in a directory; makes it where it is missing. owner: of what is made.
Result<sys::Fd> Point(const sys::Fd& in, const std::string& name, bool directory, const context::Owner& owner) {
  constexpr std::uint64_t kInside = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
  const auto open = [&] {
    return sys::Fd(sys::OpenAt2(in.get(), name.c_str(), O_PATH | O_NOFOLLOW | (directory ? O_DIRECTORY : 0), kInside));
  };
  sys::Fd fd = open();
  if (fd || errno != ENOENT) return fd;
  const int made =
      directory ? ::mkdirat(in.get(), name.c_str(), 0755) : ::mknodat(in.get(), name.c_str(), S_IFREG | 0644, 0);
  if (made != 0 || ::fchownat(in.get(), name.c_str(), owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW) != 0 ||
      ::fchmodat(in.get(), name.c_str(), directory ? 0755 : 0644, 0) != 0)
    return FailSys("make mount point", name);
  return open();
}

// It is a file system of ours; but once it is mounted it is read-only.
Result<> MakePoints(const Launch& launch, const MountOp& context, const sys::Fd& copy, const context::Owner& owner) {
  for (const MountOp& op : launch.mounts) {
    if (!StandsOn(context, op, launch.mounts)) continue;
    sys::Fd at(::fcntl(copy.get(), F_DUPFD_CLOEXEC, 3));
    for (std::size_t begin = context.target.size() + 1; begin < op.target.size();) {
      const std::size_t end = std::min(op.target.find('/', begin), op.target.size());
      const bool directory = end < op.target.size() || IsDirectory(op);
      at = TRY(Point(at, op.target.substr(begin, end - begin), directory, owner));
      struct stat st{};
      if (!at || ::fstat(at.get(), &st) != 0 || S_ISDIR(st.st_mode) != directory || S_ISLNK(st.st_mode))
        return InTheWay(op, op.target.substr(0, end));
      begin = end + 1;
    }
  }
  return {};
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
  if (op.verify) Begin(walk, "hashing the copy");
  if (op.verify && TRY(context::HashContext(copy.get(), filter, walk)) != before) {
    return Fail(Error::Of(ErrorCode::kConflict, "verify context", op.source, "the copy is not what the source was")
                    .Hint("somebody writes to it: copy it from where nobody does"));
  }
  TRY(MakePoints(data.launch, op, copy, owner));
  return copy;
}

// ---- secrets ----

// From Linux 6.4 on root may have one that is not; tmpfs(5), noswap. Nobody may in a user namespace.
Result<sys::Fd> SecretsTmpfs(Buffers& data, const MountOp& op) {
  constexpr TmpfsOption kMode{"mode", "0755"}, kSize{"size", "64m"};
  if (auto mount = NewTmpfs(op, {kMode, kSize, {"noswap", nullptr}})) return mount;
  if (!sys::MachineSwaps()) return NewTmpfs(op, {kMode, kSize});
  const auto [why, hint] = sys::WhySwapped(!sys::IsWhole(TRY(sys::OwnUids())));
  if (data.launch.production) return Fail(Error::Of(ErrorCode::kUnsupported, "keep", "secrets", why).Hint(hint));
  data.warnings.push_back("secrets: " + std::string(why) + ": " + std::string(hint));
  return NewTmpfs(op, {kMode, kSize});
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

Result<sys::Fd> Secrets(Buffers& data, const MountOp& op) {
  const Launch& launch = data.launch;
  sys::Fd top = TRY(SecretsTmpfs(data, op));
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

Result<sys::Fd> Attached(Buffers& data, const MountOp& op, const sys::Fd& space, attest::Verdict& verdict,
                         const attest::WalkOptions& walk) {
  const Launch& launch = data.launch;
  switch (op.type) {
    case Type::kContext:
      return TRY_IN("context", Context(data, op, walk));
    case Type::kSecrets:
      return TRY_IN("secrets", Secrets(data, op));
    case Type::kRootBind:
    case Type::kRootOverlay:
      if (op.verify) return VerifiedRoot(op, verdict, walk);
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
  std::optional<Attested> root;
  for (const MountOp& op : data.launch.mounts) {
    attest::Verdict verdict;
    sys::Fd mount = TRY(Attached(data, op, space, verdict, walk));
    if (verdict.looked) root = Attested{data.attached.size(), std::move(verdict)};
    // Above the standard files, which the child puts in place first.
    constexpr int kAbove = 10;
    if (mount) mount.reset(::fcntl(mount.get(), F_DUPFD_CLOEXEC, kAbove));
    data.attached.push_back(std::move(mount));
  }
  return root ? FinishVerified(data, *root, space, walk) : Result<>();
}

}  // namespace nucleus::process
