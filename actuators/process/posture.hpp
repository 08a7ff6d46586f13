// What the kernel says of a process that was started from a launch, compared with what the launch asked for.
//
// Twice: before exec, by whoever starts it, while it waits (CheckPosture; the mounts are compared in child_audit.cpp),
// and whether the seccomp program is in force right after; and whenever somebody asks (`nucleus verify`), all of it.
// What compares is pure; what reads is in posture_read.cpp. Landlock is not to be seen from outside.
//
// What a workload may change by itself, within what it was given, is no difference: a lower limit, a higher
// oom_score_adj, another identity or other mounts where it has the capabilities for it.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/mountinfo.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

struct Namespace {
  std::string name;  // as in /proc/PID/ns
  bool ours = false;
  bool as_pinned = false;  // net: the one of the launch's pin
  bool operator==(const Namespace&) const = default;
};

struct OpenFile {
  int fd = 0;
  std::string target;    // as /proc/PID/fd says
  bool outside = false;  // it lies in no mount of the process
  bool operator==(const OpenFile&) const = default;
};

struct Program {
  std::uint64_t device = 0, inode = 0;
  bool read_only = false;  // the mount it runs from
  bool operator==(const Program&) const = default;
};

// What has no value could not be read.
struct Posture {
  // Of /proc/PID/status, proc_pid_status(5).
  char state = '?';  // R, S, ..., Z for a thread that has exited
  pid_t parent = 0;
  std::array<std::uint32_t, 4> uids{}, gids{};  // real, effective, saved, file system
  std::vector<std::uint32_t> groups;
  CapabilitySets capabilities;
  bool no_new_privs = false;
  // 0 none, 1 strict, 2 filter, 3 (SECCOMP_MODE_DEAD of kernel/seccomp.c, Linux 5.16) one that has just killed it
  int seccomp = 0;
  std::optional<std::uint32_t> seccomp_filters;  // Linux 5.9

  // Of elsewhere: only Inspect() has looked.
  std::optional<std::vector<Namespace>> namespaces;
  std::optional<std::vector<IdRange>> uid_map, gid_map;
  std::optional<std::vector<sys::MountEntry>> mounts;
  std::optional<std::vector<Rlimit>> rlimits;  // those that the launch names
  std::optional<std::string> cgroup;           // absolute directory; "" where it is in none that is mounted
  std::optional<std::string> hostname;
  std::optional<int> oom_score_adj;
  std::optional<std::vector<OpenFile>> files;
  std::optional<Program> program;
  bool operator==(const Posture&) const = default;
};

// Of the text of /proc/PID/status. None: a field is missing or does not read.
std::optional<Posture> ParsePosture(std::string_view status);
// The text of /proc/PID/uid_map or gid_map, user_namespaces(7). None: it does not read.
std::optional<std::vector<IdRange>> ParseIdMap(std::string_view text);

// Of the text of /proc/PID/limits, getrlimit(2). None: there is no such line, or it does not read.
std::optional<Rlimit> ParseLimit(std::string_view text, int resource);

// When a process that is being started is looked at.
enum class Moment : std::uint8_t {
  kBeforeExec,  // it waits, and has everything but its seccomp program
  kConfined,    // likewise, and has been seen in its namespaces, which it does not leave
  kAfterExec,   // that too
};

// ---- comparing: pure ----

enum class Verdict : std::uint8_t {
  kOk,
  kDiffers,
  kUnreadable,  // never taken for good
  kUnseen,      // no way to see it from outside, whoever asks
};

struct Check {
  std::string name, asked, found;
  Verdict verdict = Verdict::kOk;
  bool operator==(const Check&) const = default;
};

using MaskText = std::string (*)(std::uint64_t);
std::string HexMask(std::uint64_t mask);  // "none" for 0

// What is compared with, and in which role.
struct Comparison {
  const Launch& launch;
  bool mini_init = false;                      // it is the mini-init, not the workload
  bool callers_files = false;                  // its standard files are those of whoever called `run`
  std::vector<std::string> own_directories{};  // of nucleus: no open file may lead there
  std::optional<Program> supervisor{};         // whose program the mini-init has
  MaskText capability_names = HexMask;
  // Whoever started it was in another user namespace than we are: what its ids are here.
  std::optional<std::vector<IdRange>> uids_here{}, gids_here{};
  bool setgroups_denied = false;  // there
};

// Identity, capabilities, no_new_privs, seccomp.
std::vector<Check> CompareStatus(const Posture& posture, const Comparison& with);
// Each namespace, and the maps of a user namespace.
std::vector<Check> CompareNamespaces(const Posture& posture, const Comparison& with);
// Every mount that was asked for, and every one that is there. posture_mounts.cpp
std::vector<Check> CompareMounts(const std::vector<sys::MountEntry>& found, const Launch& launch);
// All of it. posture_compare.cpp
std::vector<Check> Compare(const Posture& posture, const Comparison& with);
// What of CompareStatus differs, each in words: "no_new_privs is no, not yes". Empty: as it was asked.
std::vector<std::string> Mismatches(const Posture& posture, const Comparison& with, Moment moment);

// Whether the workload has a capability in its hands with which it may change mounts, host name or limits by itself.
bool MayRemount(const Launch& launch);       // SYS_ADMIN
bool MayExceedLimits(const Launch& launch);  // SYS_RESOURCE

// ---- reading ----

// The numbers of the caller's namespaces, for what is compared with them more than once; 0: the kernel has none such.
struct OwnNamespaces {
  static OwnNamespaces Read();
  std::array<std::uint64_t, 8> numbers{};
};

// The process and, behind a mini-init, its first child; their namespaces are to be others than the caller's. A process
// that has ended meanwhile is as it should be. kPermission: what differs.
Result<> CheckPosture(pid_t pid, const Launch& launch, Moment moment, const OwnNamespaces& own);

// A look at a process that is still on its way: whether it is in all its namespaces already. The kernel has then made
// what a look when it waits, which it has to wait for, asks for in /proc.
bool IsInNamespaces(pid_t pid, const Launch& launch, const OwnNamespaces& own);

// All that can be read of a process, by another of its threads where the first has exited. None: it has ended.
// kPermission where not even /proc/PID/status may be read, kUnhealthy where its threads are gone too soon to be looked
// at.
Result<std::optional<Posture>> Inspect(pid_t pid, const Launch& launch);
// What of a Comparison follows from who started it, a supervisor: its program, its user namespace.
void AddSupervisor(pid_t supervisor, Comparison& with);
// The first child of a mini-init. None: there is none, or it may not be seen.
std::optional<pid_t> FirstChild(pid_t pid);

// ---- for the probe: what takes microseconds ----

// How many mounts a process has (from Linux 6.12 on, "?" before) and whether its root is read-only: "62 ro". Empty:
// not to be read. proc: sys::ProcOf().
std::string BriefMounts(const std::string& proc, int pidfd);
// The host name that a process sees. The calling thread goes into its UTS namespace and stays there, so that looking at
// many costs little: on a thread that ends. None: not to be read.
std::optional<std::string> EnterForHostName(const sys::Fd& pidfd);
std::optional<int> OomScoreAdj(pid_t pid);
std::optional<Rlimit> LimitOf(pid_t pid, int resource);

}  // namespace nucleus::process
