// What the kernel says of a process that was started from a launch, compared with what the launch asked for: the last
// check, made from outside, by whoever started it.
//
// Looked at right after exec. Nothing of it can get weaker by what the workload does meanwhile: no_new_privs and
// seccomp stay, and without capabilities identity and namespaces do too. Mounts are compared before exec
// (child_audit.cpp), and Landlock is not to be seen in /proc.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "state/parts/launch.hpp"

namespace nucleus::process {

struct Posture {
  char state = '?';  // proc_pid_status(5): R, S, ..., Z for one that has ended
  pid_t parent = 0;
  std::array<std::uint32_t, 4> uids{}, gids{};  // real, effective, saved, file system
  std::vector<std::uint32_t> groups;
  CapabilitySets capabilities;
  bool no_new_privs = false;
  int seccomp = 0;  // 0 none, 1 strict, 2 filter
  bool operator==(const Posture&) const = default;
};

// Of the text of /proc/PID/status. None: a field is missing or does not read.
std::optional<Posture> ParsePosture(std::string_view status);
// What differs, each in words: "NoNewPrivs is 0". Empty: as it was asked. Pure.
std::vector<std::string> Mismatches(const Posture& posture, const Launch& launch);

// The process and, behind a mini-init, its first child; their namespaces are to be others than the caller's. A process
// that has ended meanwhile is as it should be. kPermission: what differs.
Result<> CheckPosture(pid_t pid, const Launch& launch);

}  // namespace nucleus::process
