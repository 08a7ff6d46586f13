// Every name that nucleus gives to something outside its own memory: directories and files, links, cgroups, tables,
// tags. All are pure functions of the two base directories and of keys, so that what a killed apply left can be found
// again.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "spec/core/address.hpp"
#include "spec/core/error.hpp"

namespace nucleus {

// In the runtime directory: claims of ranges of ids, sys/id_claim.hpp.
inline constexpr std::string_view kUserRangesDir = "userns";

// The two base directories. state: durable. runtime: on tmpfs, gone at reboot as kernel objects are.
inline constexpr std::string_view kRootsRuntime = "/run/nucleus";  // root's, where nothing else is said

struct Directories {
  std::string state;
  std::string runtime;

  // An explicit value (from a flag) wins, then NUCLEUS_STATE_DIR and NUCLEUS_RUNTIME_DIR, then /var/lib/nucleus and
  // /run/nucleus for root, the XDG state and runtime directories for others. A user's runtime directory is in the first
  // of $XDG_RUNTIME_DIR, /run/user/UID and /tmp/nucleus-UID that there is, but where there are projects in another of
  // them and none in that, it is the other: who has no XDG_RUNTIME_DIR and who has one see the same. Reads the
  // environment; makes nothing but /tmp/nucleus-UID, for who has no other runtime directory: kPermission where somebody
  // else was first. The runtime directory is by its one name, whatever links lead there: all in it is known by that.
  static Result<Directories> Resolve(std::string_view state_flag, std::string_view runtime_flag);

  [[nodiscard]] std::string AppliedDb() const { return state + "/applied.db"; }
  [[nodiscard]] std::string KeyFile() const { return state + "/secret-digest.key"; }
  [[nodiscard]] std::string ObservedDb() const { return runtime + "/observed.db"; }
  [[nodiscard]] std::string HostLock() const { return runtime + "/host.lock"; }
  // The host's own settings.
  [[nodiscard]] std::string ForwardingRecord() const { return runtime + "/ip_forward_was"; }
  [[nodiscard]] std::string Forwarding6Record() const { return runtime + "/ip6_forward_was"; }
  [[nodiscard]] std::string UserRanges() const { return runtime + "/" + std::string(kUserRangesDir); }
  [[nodiscard]] std::string SeccompCache() const { return state + "/seccomp"; }     // compiled profiles
  [[nodiscard]] std::string ContextCache() const { return runtime + "/contexts"; }  // what bound contexts hide
  [[nodiscard]] std::string ProjectLock(std::string_view project) const;
  [[nodiscard]] std::string ProjectDir(std::string_view project) const;                            // runtime/projects/P
  [[nodiscard]] std::string VolumeMount(std::string_view project, std::string_view volume) const;  // ephemeral volumes
  [[nodiscard]] std::string ServiceDir(std::string_view project,
                                       const Address& service) const;  // runtime/projects/P/service.web
  [[nodiscard]] std::string NetnsPin(std::string_view project, const Address& service) const;  // an nsfs bind mount
  // Whose a control group is, kTagOwner: root may have more than one runtime directory, with containers of one name.
  [[nodiscard]] std::string OwnerTag(std::string_view project, const Address& service) const;
};

// Stands where a project does for containers started by hand. No topology can have that name.
inline constexpr std::string_view kContainersProject = "_";

// Files in a ServiceDir.
inline constexpr std::string_view kLockFile = "lock";        // whoever supervises it, or clears up after it, has it
inline constexpr std::string_view kLaunchFile = "launch";    // the compiled container, for the supervisor
inline constexpr std::string_view kPolicyFile = "policy";    // supervision settings that may change live
inline constexpr std::string_view kNetworkFile = "network";  // what its network needs a program for: network_help.hpp
inline constexpr std::string_view kNetworkDirectory = "helper";  // where that program keeps what it needs
// Where its workload says that it is ready, and its place in the container: sd_notify(3). Only its owner may go into
// the directory; the socket itself is for whoever has it mounted.
inline constexpr std::string_view kNotifyDirectory = "notify", kNotifySocket = "notify/socket";
inline constexpr std::string_view kNotifyInside = "/run/host/notify";
inline constexpr std::string_view kHoldSocket = "hold";    // where a supervisor waits that a unit has started
inline constexpr std::string_view kStatusFile = "status";  // written by the supervisor, replaced by rename
inline constexpr std::string_view kLogFile = "log";        // the workload's output; rotated to log.1
inline constexpr std::string_view kHostsFile = "hosts";    // rewritten in place: it is bind mounted
inline constexpr std::string_view kResolvFile = "resolv.conf";
inline constexpr std::string_view kHostnameFile = "hostname";
inline constexpr std::array<std::string_view, 3> kNameFiles{kHostsFile, kResolvFile, kHostnameFile};
// How many packets egress rules had denied that were taken away: written by who took them away, read and removed by the
// supervisor.
inline constexpr std::string_view kDeniedFile = "denied";

// Ten hexadecimal digits that stand for a resource of a project in names that are short (interface names: 15 bytes).
std::string ShortHash(std::string_view project, std::string_view text);

std::string BridgeLink(std::string_view project, std::string_view network);                        // "nb" + hash
bool IsBridgeLink(std::string_view link);                                                          // of any project
std::string VethLink(std::string_view project, const Address& service, std::string_view network);  // "nv" + hash
// The alias of every link we make: "nucleus:PROJECT/network.internal" or "nucleus:PROJECT/service.web".
std::string LinkAlias(std::string_view project, const Address& address);
std::string FirewallTable(std::string_view project);    // "nucleus_" + hash, family inet
std::string FirewallComment(std::string_view project);  // "nucleus:PROJECT"
// Relative to the cgroup2 subtree that nucleus may use: "nucleus/PROJECT/service.web".
std::string CgroupPath(std::string_view project, const Address& service);

// The systemd unit that watches a project of one container in the background: "nucleus-" + twelve digits + ".service".
// The digits are the first of the container's id.
std::string UnitDigits(std::string_view project);
std::string UnitName(std::string_view project);

// Extended attributes of a cgroup, its tags.
inline constexpr std::string_view kTagOwner =
    "user.nucleus.owner";                                      // "PROJECT/service.web", and " DIRECTORY", see OwnerTag
inline constexpr std::string_view kTagId = "user.nucleus.id";  // the container id
inline constexpr std::string_view kTagDigest = "user.nucleus.digest";  // the process digest it was started with

}  // namespace nucleus
