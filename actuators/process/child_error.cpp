// From {step, call, index, errno} to a message that a person can act on.
#include <sys/resource.h>

#include <algorithm>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/landlock.hpp"
#include "actuators/sys/mount_api.hpp"
#include "spec/core/units.hpp"

namespace nucleus::process {

namespace {

std::string_view CallName(Call call) {
  switch (call) {
    case Call::kNone:
      return "";
    case Call::kOpenSource:
      return "open the source";
    case Call::kOpenTarget:
      return "open the target";
    case Call::kOpenTree:
      return "open_tree";
    case Call::kMoveMount:
      return "move_mount";
    case Call::kMountSetattr:
      return "mount_setattr";
    case Call::kFsopen:
      return "fsopen";
    case Call::kFsconfig:
      return "fsconfig";
    case Call::kFsmount:
      return "fsmount";
    case Call::kMkdir:
      return "mkdir";
    case Call::kOpen:
      return "open";
    case Call::kWrite:
      return "write";
    case Call::kChown:
      return "chown";
    case Call::kChmod:
      return "chmod";
    case Call::kSymlink:
      return "symlink";
    case Call::kStat:
      return "stat";
    case Call::kUnlink:
      return "unlink";
  }
  return "";
}

struct Phrase {
  std::string_view operation;
  std::string subject;
};

Phrase DescribeMount(const PreparedOp& prepared) {
  const MountOp& op = *prepared.op;
  const std::string names = AttributeNames(prepared.attributes);
  const std::string flags = names.empty() ? "" : " (" + names + ")";
  switch (op.type) {
    case MountOp::Type::kRootTmpfs:
      return {"mount", "tmpfs at / (" + op.data + ")"};
    case MountOp::Type::kRootBind:
      return {"mount", op.source + " at /" + flags};
    case MountOp::Type::kRootOverlay:
      return {"mount", "overlay of " + op.source + " at /" + flags};
    case MountOp::Type::kDirectory:
      return {"make directory", op.target};
    case MountOp::Type::kFile:
      return {"write file", op.target};
    case MountOp::Type::kSymlink:
      return {"link", op.target + " to " + op.data};
    case MountOp::Type::kBind:
      return {"mount", op.source + " at " + op.target + flags};
    case MountOp::Type::kFilesystem:
      return {"mount", op.fstype + " at " + op.target + (op.data.empty() ? "" : " (" + op.data + ")") + flags};
    case MountOp::Type::kMask:
      return {"mask", op.target};
    case MountOp::Type::kReadOnly:
      return {"make read-only", op.target};
    case MountOp::Type::kContext:
      return {"mount", "a copy of " + op.source + " at " + op.target + flags};
    case MountOp::Type::kSecrets:
    case MountOp::Type::kSecretFile:
      return {"mount", "secrets at " + op.target + flags};
    case MountOp::Type::kSecret:
      return {"mount", "a secret at " + op.target + flags};
    case MountOp::Type::kSealRoot:
      return {"make read-only", "/"};
  }
  return {"mount", op.target};
}

std::string_view FindingText(AuditFinding finding) {
  switch (finding) {
    case AuditFinding::kNone:
      return "";
    case AuditFinding::kUnknownMount:
      return "something is mounted there that was not asked for";
    case AuditFinding::kMissing:
      return "it was mounted, but is not there";
    case AuditFinding::kFlags:
      return "it lacks ";
    case AuditFinding::kUnreadable:
      return "mountinfo does not read as documented";
    case AuditFinding::kTooMany:
      return "there are too many mounts to check";
  }
  return "";
}

std::string CapabilityName(int number) {
  return "capability " + std::to_string(number);
}

std::string Ids(const std::vector<std::uint32_t>& ids) {
  std::string text = "groups";
  for (const auto id : ids) text += " " + std::to_string(id);
  return text;
}

std::string LimitText(const Rlimit& limit) {
  const std::string name = limit.resource == RLIMIT_MEMLOCK ? "memlock" : std::to_string(limit.resource);
  return name + " to " + FormatBytes(limit.hard);
}

bool HasOwnLandlock(const Launch& launch) {
  return std::ranges::any_of(launch.security.landlock.rules, &LandlockRule::required);
}

// What to do about it; none: nothing that is known.
std::string_view Advice(const Failure& failure, const Launch& launch) {
  if (failure.step == Step::kSearch && failure.err == ENOENT)
    return "the command is looked up in the container's root file system, not on the host";
  if (failure.step == Step::kRlimit && failure.err == EPERM)
    return "more than the caller may give itself (`ulimit -H`) is root's to give";
  if (failure.step == Step::kLandlockRule && failure.err == ENOENT)
    return "the Landlock policy has a rule for what is not in the container";
  if (failure.step == Step::kLandlockNothing)
    return "of a file there are read, write, truncate and execute, of a device ioctl too; the others are of "
           "directories alone";
  if ((failure.step == Step::kExec || failure.step == Step::kSearch) && failure.err == EACCES && HasOwnLandlock(launch))
    return "where its mode is right, the Landlock policy has to allow 'execute' of it and of its loader";
  return "";
}

Phrase Describe(const Failure& failure, const Buffers& data) {
  const Launch& launch = data.launch;
  const auto index = static_cast<std::size_t>(std::max(failure.index, 0));
  switch (failure.step) {
    case Step::kUserNamespace:
      return {"enter", "user namespace"};
    case Step::kNamespaces:
      return {"enter", "namespaces"};
    case Step::kNetwork:
      return {"enter", "network namespace " + launch.netns};
    case Step::kLoopback:
      return {"bring up", "loopback"};
    case Step::kStandardFiles:
      return {"pass on", "standard files"};
    case Step::kTerminal:
      return {"open", "a terminal of the container's own"};
    case Step::kPropagation:
      return {"make private", "mount namespace"};
    case Step::kMount:
      if (index < data.ops.size()) return DescribeMount(data.ops[index]);
      return {"mount", "root"};
    case Step::kPivot:
      return {"pivot_root", "new root"};
    case Step::kAudit:
      return {"audit", failure.text[0] != '\0'                         ? "mount " + std::string(failure.text.data())
                       : failure.index >= 0 && index < data.ops.size() ? DescribeMount(data.ops[index]).subject
                                                                       : "mounts"};
    case Step::kHostname:
      return {"set host name", launch.hostname};
    case Step::kNullFile:
      return {"open", "the container's /dev/null"};
    case Step::kWorkdir:
      return {"enter working directory", launch.workdir.empty() ? "/" : launch.workdir};
    case Step::kRlimit:
      return {"set resource limit", index < launch.rlimits.size() ? LimitText(launch.rlimits[index]) : std::string()};
    case Step::kSession:
      return {"start", "session"};
    case Step::kLandlockRule:
    case Step::kLandlockNothing:
      return {"add Landlock rule", index < launch.security.landlock.rules.size()
                                       ? launch.security.landlock.rules[index].path
                                       : std::string()};
    case Step::kLandlockPort:
      return {"add Landlock rule", "port " + std::to_string(failure.index)};
    case Step::kBounding:
      return {"drop from the bounding set", CapabilityName(failure.index)};
    case Step::kGroups:
      return {"set", Ids(launch.identity.groups)};
    case Step::kGid:
      return {"set group", std::to_string(launch.identity.gid)};
    case Step::kUid:
      return {"set user", std::to_string(launch.identity.uid)};
    case Step::kCapabilities:
      return {"set", "capabilities"};
    case Step::kAmbient:
      return {"set", "ambient " + CapabilityName(failure.index)};
    case Step::kNoNewPrivs:
      return {"set", "no_new_privs"};
    case Step::kParentDeath:
      return {"set", "parent death signal"};
    case Step::kLandlock:
      return {"enforce", "Landlock rules"};
    case Step::kInit:
      return {"start", "mini-init"};
    case Step::kClose:
      return {"close", "open files"};
    case Step::kSeccomp:
      return {"load", "seccomp program"};
    case Step::kSearch:
    case Step::kExec:
      return {"execute", launch.argv.front()};
  }
  return {"start", "container"};
}

}  // namespace

std::string AttributeNames(std::uint64_t attributes) {
  struct Name {
    std::uint64_t attribute;
    std::string_view text;
  };
  static constexpr Name kNames[] = {{sys::kAttrReadOnly, "ro"},
                                    {sys::kAttrNoSuid, "nosuid"},
                                    {sys::kAttrNoDev, "nodev"},
                                    {sys::kAttrNoExec, "noexec"}};
  std::string text;
  for (const Name& name : kNames)
    if ((attributes & name.attribute) != 0) text += (text.empty() ? "" : ",") + std::string(name.text);
  return text;
}

Error Explain(const Failure& failure, const Buffers& data) {
  const Phrase phrase = Describe(failure, data);
  Error error = Error::Sys(phrase.operation, phrase.subject, failure.err);
  if (failure.step == Step::kAudit && failure.finding != AuditFinding::kNone) {
    error.code = ErrorCode::kPermission;
    error.cause = std::string(FindingText(failure.finding));
    if (failure.finding == AuditFinding::kFlags) error.cause += AttributeNames(failure.attributes);
  }
  if (failure.step == Step::kSearch && failure.err == ENOENT) {
    const bool searched = data.launch.argv.front().find('/') == std::string::npos;
    error.cause = searched ? "it is in no directory of PATH inside the container" : "not found inside the container";
    error.sys_errno = 0;
  }
  const auto& rules = data.launch.security.landlock.rules;
  if (failure.step == Step::kLandlockNothing && static_cast<std::size_t>(failure.index) < rules.size()) {
    error.code = ErrorCode::kInvalid;
    error.cause = sys::LandlockAllowsNothing("in the container", rules[static_cast<std::size_t>(failure.index)].access);
    error.sys_errno = 0;
  }
  error.hint = Advice(failure, data.launch);
  // The file itself was seen: what is missing is what its first line names, or the loader of a dynamic program.
  if (failure.step == Step::kExec && failure.err == ENOENT) error.cause = "its interpreter or loader is missing";
  if (const auto call = CallName(failure.call); !call.empty()) return std::move(error).In(call);
  return error;
}

int ExitCodeOf(const Error& start_error) {
  if (start_error.operation != "execute") return 125;
  return start_error.code == ErrorCode::kNotFound ? 127 : 126;
}

}  // namespace nucleus::process
