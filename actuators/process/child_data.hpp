// The buffers and the small vocabulary shared by the files of the interpreter. Private to actuators/process.
//
// Everything here is made before clone; in the child the vectors are only indexed, never resized.
#pragma once

#include <linux/filter.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "actuators/process/child.hpp"
#include "actuators/process/shared_word.hpp"
#include "actuators/sys/mount_api.hpp"

namespace nucleus::process {

enum class Step : std::uint8_t {
  kUserNamespace,
  kNamespaces,
  kNetwork,
  kLoopback,
  kStandardFiles,
  kTerminal,
  kPropagation,
  kMount,
  kPivot,
  kAudit,
  kHostname,
  kNullFile,
  kWorkdir,
  kRlimit,
  kSession,
  kLandlockRule,
  kLandlockNothing,  // a rule of which nothing means anything of what is there
  kLandlockPort,
  kBounding,
  kGroups,
  kGid,
  kUid,
  kCapabilities,
  kAmbient,
  kNoNewPrivs,
  kParentDeath,
  kLandlock,
  kInit,
  kClose,
  kSeccomp,
  kSearch,
  kExec,
};

// The system call that failed, for the trail of the message.
enum class Call : std::uint8_t {
  kNone,
  kOpenSource,
  kOpenTarget,
  kOpenTree,
  kMoveMount,
  kMountSetattr,
  kFsopen,
  kFsconfig,
  kFsmount,
  kMkdir,
  kOpen,
  kWrite,
  kChown,
  kChmod,
  kSymlink,
  kStat,
  kUnlink,
};

enum class AuditFinding : std::uint8_t { kNone, kUnknownMount, kMissing, kFlags, kUnreadable, kTooMany };

// What goes over the channel, in one piece.
struct Failure {
  Step step = Step::kNamespaces;
  Call call = Call::kNone;
  AuditFinding finding = AuditFinding::kNone;
  std::int32_t index = -1;
  std::int32_t err = 0;
  std::uint64_t attributes = 0;  // audit: those that are missing
  std::array<char, 256> text{};  // audit: where
};

struct FsOption {
  const char* key = nullptr;
  const char* value = nullptr;  // null: a flag
};

// A mount operation with its pieces cut out.
struct PreparedOp {
  const MountOp* op = nullptr;
  std::vector<FsOption> options = {};
  std::uint64_t attributes = 0;  // MOUNT_ATTR_*
};

// A mount the child has made: filled in the child, read by the audit.
struct Placed {
  std::uint64_t mount = 0;  // 0: none
  std::uint64_t attributes = 0;
  bool recursive = false;
  bool seen = false;
};

// A mount that the audit has seen, and the operation that made it.
struct KnownMount {
  std::uint64_t mount;
  std::int32_t operation;
};

struct Buffers {
  explicit Buffers(const Launch& given) : launch(given) {}
  explicit Buffers(Launch&& given) : own(std::move(given)), launch(*own) {}
  Buffers(const Buffers&) = delete;
  Buffers& operator=(const Buffers&) = delete;

  const std::optional<Launch> own;
  const Launch& launch;               // that, or the caller's
  bool inside = false;                // another process of a running container
  bool attended = false;              // inside, and what its seccomp program asks about is answered
  bool keep_groups = false;           // supplementary groups cannot be changed here, setgroups(2) is denied
  bool without_seccomp = false;       // there are no filters, and that is allowed
  bool nested = false;                // in a user namespace that is not the machine's
  std::vector<std::string> warnings;  // what was asked for and is not had, where that is allowed

  std::vector<std::string> strings, candidates;  // what the pointers below point at, with those of `launch`
  std::vector<const char*> argv, envp;
  std::vector<const char*> programs;  // where the program may be: candidates of PATH, in order
  std::vector<PreparedOp> ops;
  std::vector<sys::Fd> attached;  // by operation: a mount that was made before the clone, to be placed
  std::vector<sock_filter> seccomp;
  bool listens = false;                    // seccomp asks the supervisor; child_listener.hpp
  bool asks_exec = false;                  // about our own execve too
  std::vector<sock_filter> seccomp_plain;  // instead, where there can be no listener; empty: there has to be one
  std::vector<char> helper_stack;
  std::uint64_t landlock_fs = 0, landlock_net = 0, landlock_scoped = 0;
  bool landlock = false;
  int last_capability = 0;

  // Used in the child. One that shares our memory leaves what it has written: renewed for the next.
  void Renew() {
    own_device_count = 0;
    std::ranges::fill(placed, Placed{});
  }
  std::vector<Placed> placed;              // by operation
  std::vector<std::uint64_t> own_devices;  // file systems we made and may write
  std::size_t own_device_count = 0;
  // Of the audit, as large as they may ever have to be, so they are touched only where they are used: zeroing them
  // would take longer than the audit.
  std::unique_ptr<char[]> scratch;  // mountinfo is read into it
  std::size_t scratch_size = 0;
  std::unique_ptr<KnownMount[]> known_mounts;
  std::size_t known_size = 0;
};

// Between the two threads of a child whose program asks; child_listener.hpp.
struct Handover {
  static constexpr int kNotYet = -1, kNone = -2;
  std::atomic<int> listener = kNotYet;
  std::atomic<bool> sent = false, failed = false;
};

// The state of the interpreter. Descriptors are plain numbers on purpose: exec or exit closes them all.
struct Child {
  Buffers& data;
  int join_cgroup = -1;        // a directory to move into; -1: born where it belongs
  int parents_end = -1;        // of the channel
  int channel = -1;            // a socket: failures go up, a byte comes down for each thing that is waited for
  bool shares_memory = false;  // with its parent, until it executes
  SharedWord* go = nullptr;    // beside the channel, where a look at it saves time
  int pidns_container = -1;    // pidfd of the container to enter, or -1
  bool own_network = false;    // born with a network namespace in which nothing is up
  int netns = -1;
  bool used_chroot = false;  // pivot_root failed, and that is allowed
  int standard[3] = {-1, -1, -1};
  bool null_file[3] = {false, false, false};  // those that are /dev/null
  int terminal = -1;                          // a socket: the master's end of a new pseudoterminal goes over it
  winsize size = {};
  int listener_socket = -1;  // the listener of a seccomp program that asks goes over it
  Handover handover = {};
  int proc_self = -1;  // /proc/self of the host's procfs
  int old_root = -1;
  int root = -1;      // the new root's mount
  int skeleton = -1;  // the tmpfs under construction, until the overlay is put above it
  int overlay_op = -1;
  sys::MountIdentity base = {};  // of the skeleton, or else the root
  // Where a target was last found; kept while nothing is mounted above it. child_target.cpp.
  int parent = -1;
  const char* parent_path = nullptr;
  std::size_t parent_size = 0;
  bool parent_ours = false, parent_setgid = false;
  uid_t uid = 0;  // ours, while the root is built
  gid_t gid = 0;
  int mask_file = -1;       // the null device as the first mask of a file; later ones are clones of it
  int mask_directory = -1;  // the same of directories
  int landlock = -1;
  const char* program = nullptr;
  Failure failure = {};

  // Records what failed; false, so that it can be returned.
  bool Fail(Step step, Call call = Call::kNone, int index = -1, int err = errno) {
    failure.step = step;
    failure.call = call;
    failure.index = index;
    failure.err = err;
    return false;
  }
};

// Each is a part of the list in child.cpp; false: failure says why.
bool TakeUserNamespace(Child& child);  // child_user.cpp: waits for the maps, and becomes root by them
bool LeaveHostMounts(Child& child);    // child_pivot.cpp: a private copy of the host's mounts, rooted where we are
bool BuildRoot(Child& child);          // child_root.cpp
bool EnterRoot(Child& child);          // child_pivot.cpp: pivot_root, the old root is gone
bool AuditMounts(Child& child);        // child_audit.cpp
bool Confine(Child& child);            // child_confine.cpp: host name ... Landlock, close_range
bool TakeTerminal(Child& child);       // standard input becomes the controlling terminal of this session
bool LoadSeccomp(const sock_filter* program, std::size_t size, std::uint32_t flags = 0);
// Forks; returns (true) in the process that becomes the workload, never in PID 1. child_init.cpp.
bool BecomeInit(Child& child);
// Until the parent says to go on; without a parent there is nothing to go on for.
void AwaitParent(const Child& child);
void ReportAndExit [[noreturn]] (Child& child);

// Makes the mounts that are filled or verified before they are placed: contexts, secrets, an attested root.
// prepare_mounts.cpp
Result<> PrepareAttached(Buffers& data, const attest::WalkOptions& walk);

// Which program the child loads, and whether it asks. prepare_seccomp.cpp
void PrepareSeccomp(Buffers& data);

// "ro,nosuid" of MOUNT_ATTR_*.
std::string AttributeNames(std::uint64_t attributes);
Error Explain(const Failure& failure, const Buffers& data);  // child_error.cpp

}  // namespace nucleus::process
