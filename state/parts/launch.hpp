// A container compiled to plain data: everything the supervisor and the child between clone and exec need to know.
//
// The parent compiles it, the supervisor reads it from the service's directory (so it can restart the workload without
// anyone's help), the child interprets it without allocating. Nothing here is a decision; all decisions were made.
// Encode() and Decode() are versioned; Decode trusts nothing.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/core/process_identity.hpp"
#include "spec/types.hpp"

namespace nucleus {

// ---- root file system ----
// Operations are done in order, in a new mount namespace that receives nothing from the host's.
// `target` is a path inside the new root without symbolic links, resolved with openat2(RESOLVE_IN_ROOT |
// RESOLVE_NO_SYMLINKS): links of an image were followed, inside it, when the launch was compiled. A target that is
// missing is made where the root is ours to write (tmpfs, skeleton), and is an error otherwise.
// `source` is a path on the host, resolved with RESOLVE_NO_MAGICLINKS, and RESOLVE_NO_SYMLINKS where no_follow is set.

inline constexpr std::uint64_t kMountReadOnly = 1;  // recursive, mount_setattr(2)
inline constexpr std::uint64_t kMountNoExec = 2;
inline constexpr std::uint64_t kMountNoSuid = 4;
inline constexpr std::uint64_t kMountNoDev = 8;

struct MountOp {
  enum class Type : std::uint8_t {
    kRootTmpfs,    // the root is a new tmpfs (options in data); later ops fill it, kSealRoot makes it read-only
    kRootBind,     // the root is a clone of directory `source`
    kRootOverlay,  // the root is a read-only overlay: a skeleton tmpfs, filled by kDirectory/kFile ops with `skeleton`
                   // set, above directory `source`; used where the rootfs lacks mount points
    kDirectory,    // a directory: mode, uid, gid
    kFile,         // a regular file: data is its contents, mode, uid, gid
    kSymlink,      // data is what it points to
    kBind,         // `source` cloned (recursively where `recursive`) and placed at `target`
    kFilesystem,   // a new file system of type `fstype`, options in data as "key=value,flag"
    kMask,         // `target`, where it exists: /dev/null over a file, an empty read-only tmpfs over a directory
    kReadOnly,     // `target`, where it exists: read-only from here on
    kSealRoot,     // the root mount itself becomes read-only
    kContext,      // a tmpfs with a copy of directory `source`; data: a pattern a line, "+include" or "-exclude", and
                   // "=BYTES", the size of the tmpfs
    kSecrets,      // a tmpfs, not swapped where that can be had, with what the kSecretFile operations put there
    kSecretFile,  // not a mount: the contents of host file `source` as `target`, below that of kSecrets; mode, uid, gid
    kSecret,      // the file `source` inside the new root, one of kSecrets, cloned and placed at `target`
  };
  Type type = Type::kDirectory;
  std::string target;
  std::string source;
  std::string fstype;
  std::string data;
  std::uint64_t flags = 0;  // kMount*
  std::uint32_t mode = 0755;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool no_follow = false;
  bool recursive = false;
  bool skeleton = false;
  bool id_mapped = false;  // a source on the host whose owners are seen inside as on the host; mount_setattr(2)
  bool optional = false;   // a missing source is passed over
  bool verify = false;     // kContext: the copy is compared with its source; kRoot*: the source with its manifest,
                           // whose digest, in hexadecimal, is data
  bool operator==(const MountOp&) const = default;
};

// ---- security ----

struct CapabilitySets {  // bit masks, 1 << CAP_*; capabilities(7)
  std::uint64_t bounding = 0, permitted = 0, effective = 0, inheritable = 0, ambient = 0;
  bool operator==(const CapabilitySets&) const = default;
};

struct LandlockRule {
  std::string path;          // inside the container
  std::uint64_t access = 0;  // LANDLOCK_ACCESS_FS_*
  bool required = false;     // else a missing path is passed over
  bool operator==(const LandlockRule&) const = default;
};

struct LandlockPort {
  std::uint16_t port = 0;
  std::uint64_t access = 0;  // LANDLOCK_ACCESS_NET_*
  bool operator==(const LandlockPort&) const = default;
};

struct Landlock {
  bool enabled = false;
  bool required = false;  // production: an error where the kernel has less than min_abi
  std::uint32_t min_abi = 0;
  std::uint64_t handled_fs = 0;   // masked by what the kernel's ABI knows
  std::uint64_t handled_net = 0;  // LANDLOCK_ACCESS_NET_*, ABI 4
  std::uint64_t scoped = 0;       // LANDLOCK_SCOPE_*, ABI 6
  std::vector<LandlockRule> rules;
  std::vector<LandlockPort> ports{};
  bool operator==(const Landlock&) const = default;
};

// A seccomp program as the kernel takes it; seccomp(2).
struct BpfInstruction {
  std::uint16_t code = 0;
  std::uint8_t jt = 0, jf = 0;
  std::uint32_t k = 0;
  bool operator==(const BpfInstruction&) const = default;
};

struct Security {
  CapabilitySets capabilities;
  std::vector<BpfInstruction> seccomp;  // empty: none
  std::uint32_t seccomp_flags = 0;      // SECCOMP_FILTER_FLAG_*
  // How the program of seccomp is used. Traced: it is not, every call is let through, and counted for `seccomp_log`.
  bool seccomp_trace = false;
  std::string seccomp_log;          // absolute, on the host
  bool seccomp_log_denied = false;  // what is denied goes to the supervisor, which counts it and denies it
  bool seccomp_own = false;         // the program is of a profile of the user's: what it kills is told
  Landlock landlock;
  bool operator==(const Security&) const = default;
};

// ---- the workload ----

struct Identity {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> groups;  // exactly these, setgroups(2)
  bool operator==(const Identity&) const = default;
};

// Ids of a user namespace, and what they are in the one it is made from; user_namespaces(7).
struct IdRange {
  std::uint32_t inside = 0, outside = 0, count = 0;
  bool operator==(const IdRange&) const = default;
};

struct UserNamespace {
  bool enabled = false;
  std::vector<IdRange> uids, gids;
  bool operator==(const UserNamespace&) const = default;
};

struct Rlimit {
  std::int32_t resource = 0;  // RLIMIT_*
  std::uint64_t soft = 0, hard = 0;
  bool operator==(const Rlimit&) const = default;
};

// What supervision follows, and what may change under a running workload (the policy file).
struct Policy {
  spec::RestartPolicy restart = spec::RestartPolicy::kNo;
  std::uint32_t backoff_first_ms = 100;  // doubled at each restart up to the maximum; reset after it ran for 10 s
  std::uint32_t backoff_max_ms = 30'000;
  std::int32_t stop_signal = 15;
  std::uint32_t stop_timeout_ms = 10'000;
  bool has_health = false;
  spec::HealthCheck health;
  bool has_readiness = false;
  spec::HealthCheck readiness;             // probed until it succeeds for the first time
  std::uint64_t log_max_bytes = 16 << 20;  // then rotated; two files are kept
  Digest digest;                           // ProcessWanted::policy_digest
  bool operator==(const Policy&) const = default;
};

struct Launch {
  std::string project;
  std::string address;  // "service.web"
  std::string id;       // 32 hexadecimal digits, new for every create
  Digest digest;        // ProcessWanted::digest

  std::vector<std::string> argv;  // argv[0] is searched in PATH of env, inside the container, when it has no slash
  std::vector<std::string> env;   // "K=V"
  std::string workdir;
  std::string hostname;
  Identity identity;
  std::vector<Rlimit> rlimits;

  std::string cgroup;         // absolute directory, on a cgroup2 file system; "": none
  std::string netns;          // path to setns into; "": a new one with loopback up
  bool host_network = false;  // neither: that of the caller
  bool host_cgroups = false;  // no cgroup namespace
  bool time_namespace = false;
  UserNamespace user_namespace;
  std::vector<MountOp> mounts;
  Security security;
  bool init = false;             // mini-init as PID 1
  bool terminal = false;         // its standard files are a pseudoterminal of its own
  bool notify = false;           // it says when it is ready, to the socket kNotifySocket of its directory
  bool job = false;              // an exit with 0 is completion, never restarted then
  bool production = false;       // whatever cannot be had is fatal
  bool chroot_fallback = false;  // where pivot_root fails
  bool degraded = false;         // go on without seccomp or Landlock where the kernel has none
  spec::Hooks hooks{};
  bool mount_audit = false;  // compare the mounts' flags with what was asked, before the workload runs

  Policy policy;
  bool operator==(const Launch&) const = default;
};

std::string Encode(const Launch& launch);
Result<Launch> DecodeLaunch(std::string_view data);
std::string Encode(const Policy& policy);
Result<Policy> DecodePolicy(std::string_view data);

// What the supervisor says of itself in the status file, one "key value" a line. Unknown keys are passed over.
struct Status {
  enum class State : std::uint8_t { kStarting, kRunning, kBackoff, kStopping, kExited, kFailed };
  enum class Readiness : std::uint8_t { kNone, kWaiting, kReady };  // none: nothing is waited for
  enum class Health : std::uint8_t { kNone, kStarting, kHealthy, kUnhealthy };
  // Why the workload ended: by itself, or for want of memory, or because somebody asked for it, or of ill health.
  enum class Ending : std::uint8_t { kNone, kItself, kOom, kStopped, kUnhealthy };
  State state = State::kStarting;
  Readiness readiness = Readiness::kNone;  // of the last run
  Health health = Health::kNone;
  std::string id;
  Digest digest;
  Digest policy_digest;
  ProcessIdentity supervisor, workload;
  // Its mounts right after exec, in the words of process::BriefMounts. Empty: not to be had, or it holds capabilities
  // with which it may change them, its host name and its limits by itself.
  std::string mounts;
  // Which of them are no longer as they were asked for, in words, since the last of them changed: its supervisor is
  // told by the kernel. Empty: all are, or nobody looks.
  std::string loosened;
  std::string sources;  // which name files and volumes were mounted, by their numbers: process/mounted_sources.hpp
  std::int64_t started_ms = 0, finished_ms = 0;  // Unix time
  std::int32_t exit_code = -1;                   // 128+N for a signal; -1: none yet
  bool oom_killed = false;
  Ending ending = Ending::kNone;
  std::uint32_t restarts = 0;
  std::uint32_t probe_failures = 0;  // in a row
  std::string probe_output;          // the last one, at most 1 KiB, escaped
  std::string error;                 // why it could not start: the message of an Error
  std::string words;                 // what it said of itself last, sd_notify(3), STATUS=; escaped
  std::string network;               // NetworkState::Text(); "": nobody has been asked, or has not answered yet
  bool operator==(const Status&) const = default;
};

std::string Encode(const Status& status);
Result<Status> DecodeStatus(std::string_view text);
std::string_view StateName(Status::State state);
std::string_view ReadinessName(Status::Readiness readiness);  // "none", "waiting", "ready"
std::string_view HealthName(Status::Health health);
std::string_view EndingName(Status::Ending ending);  // "none", "exit", "oom", "stopped", "unhealthy"

}  // namespace nucleus
