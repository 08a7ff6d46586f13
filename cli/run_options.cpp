#include "cli/run_options.hpp"

#include <algorithm>
#include <array>

namespace nucleus::cli {

namespace {

using enum ValueType;

constexpr Option Text(std::string_view name, std::string_view value, std::string_view summary, char letter = 0) {
  return {.name = name, .letter = letter, .type = kText, .value = value, .summary = summary};
}
constexpr Option Path(std::string_view name, std::string_view value, std::string_view summary) {
  return {.name = name, .type = kFile, .value = value, .summary = summary};
}
constexpr Option List(std::string_view name, std::string_view value, std::string_view summary, char letter = 0) {
  return {.name = name, .letter = letter, .type = kText, .value = value, .summary = summary, .repeatable = true};
}
constexpr Option Switch(std::string_view name, std::string_view summary, char letter = 0) {
  return {.name = name, .letter = letter, .summary = summary};
}
constexpr Option Word(std::string_view name, std::string_view value, std::string_view choices,
                      std::string_view summary) {
  return {.name = name, .type = kChoice, .value = value, .summary = summary, .choices = choices};
}

constexpr std::array kOwn{
    Text("name", "NAME", "Its name, of which there is one at a time; without one, the beginning of its id."),
    Switch("detach", "In the background: print its id once it is up. It stays listed until `rm`.", 'd'),
    Switch("rm", "With --detach: remove it once it has ended; what runs in the foreground is removed anyway."),
    Switch("dry-run", "Print what would be enforced, and start nothing."),
    Option{.name = "output",
           .letter = 'o',
           .type = kChoice,
           .value = "FORMAT",
           .summary = "Form of what --dry-run prints.",
           .choices = "text|json",
           .fallback = "text"},
};

constexpr std::array kKeys{
    Word("service-mode", "MODE", "agent|production",
         "How strict its isolation is. Agent, the default, goes without a rootfs and limits; production requires them "
         "and refuses whatever weakens it."),
    Path("rootfs", "DIR", "Directory that becomes its root, read-only; without one, the host's programs, read-only."),
    List("env", "NAME[=VALUE]",
         "An environment variable; of a NAME alone the caller's, where it has one. Wins over those of --env-file.",
         'e'),
    List("env-file", "FILE", "A file of NAME=value lines; later ones win."),
    Path("context", "DIR",
         "Directory given to it as /context, read-only, without version control, keys and credentials."),
    Word("context-mode", "MODE", "copy|bind", "How the context gets there; copy by default."),
    List("context-include", "PATTERN", "A pattern of the context that is not left out."),
    List("context-exclude", "PATTERN", "A pattern of the context that is left out."),
    Switch("verify-context-integrity", "Compare a copied context with its source before the start."),
    Switch("verify-rootfs-attestation", "Start only where the rootfs is what its manifest says."),
    List("secret", "SRC:DEST",
         "A file given in memory, readable for the workload's user only; never swapped where root runs this on Linux "
         "6.4 or newer."),
    List("systemd-credential", "NAME:DEST", "A credential of the calling systemd unit, given as secrets are."),
    Text("workdir", "DIR", "Working directory in the container; without one, /context where there is one, else /."),
    Text("hostname", "NAME", "Host name inside; without one, the container's name."),
    Text("user", "USER[:GROUP]", "User the workload runs as, by number or by the container's own passwd file.", 'u'),
    Text("group", "GROUP",
         "Group the workload runs as; without one, the user's in the container's passwd file, or of a number the same "
         "number."),
    List("additional-group", "GROUP", "A supplementary group; it has exactly those given."),
    Text("memory", "SIZE", "Memory limit: beyond it the workload is killed.", 'm'),
    Text("memory-high", "SIZE", "Memory beyond which the workload is slowed down and reclaimed."),
    Text("swap", "SIZE", "Swap limit; 0: none."),
    Text("cpus", "N", "Processor time limit in CPUs."),
    Text("cpu-weight", "N", "Share of processor time under contention, 1 to 10000."),
    Text("pids", "N", "Limit of processes and threads."),
    List("io-limit", "LIMITS",
         "Limits of reads and writes of a block device: \"8:0 rbps=10M wbps=10M riops=100 wiops=100\"."),
    Text("memlock", "SIZE", "Memory that each process may lock."),
    List("volume", "SRC:DEST[:ro|rw][,noexec]", "A host path mounted into it; read-only is so for all below."),
    Path("seccomp-profile", "FILE", "Seccomp profile in the OCI format; without one, nucleus' own policy."),
    Text("seccomp-profile-sha256", "DIGEST", "Digest the profile must have."),
    List("seccomp-allow", "NAME", "A system call allowed besides those of the profile, or of nucleus' own policy."),
    Path("caps-policy", "FILE", "Capability policy, a TOML file; without one, no capabilities."),
    Text("caps-policy-sha256", "DIGEST", "Digest the capability policy must have."),
    Path("landlock-policy", "FILE", "Landlock policy, a TOML file; without one, rules that follow the mounts."),
    Text("landlock-policy-sha256", "DIGEST", "Digest the Landlock policy must have."),
    List("tmpfs", "DEST[:SIZE]", "An empty memory-backed directory."),
    Word("seccomp-mode", "MODE", "enforce|trace",
         "enforce, the default, or trace: allow every call and record it; agent mode."),
    Path("seccomp-log", "FILE", "File the recorded calls go to."),
    Switch("seccomp-log-denied", "Count denied calls by program, and name them at the end."),
    Word("network", "KIND", "none|host|bridge", "Kind of network; none, the default, has loopback only."),
    Switch("allow-host-network", "Permit --network host, in agent mode."),
    Word("nat-backend", "BACKEND", "auto|kernel|userspace|slirp4netns|pasta",
         "What translates a bridge's addresses; auto by default."),
    List("publish", "[IP:]HOST:CONTAINER[/tcp|udp]", "A port of the host that leads to it, or a range; needs a bridge.",
         'p'),
    List("dns", "ADDRESS", "A name server; agent mode has public ones on a bridge, production must name them."),
    List("egress-allow", "NETWORK",
         "A network it may send to; \"\": only to its name servers, as in production by itself. Needs a bridge."),
    List("egress-domain", "NAME",
         "A name it may send to: the addresses that its name servers say, and for ten minutes those they have "
         "said."),
    List("egress-tcp-port", "PORT",
         "A TCP port of --egress-allow and --egress-domain; without ports, every port and protocol."),
    List("egress-udp-port", "PORT", "A UDP port of --egress-allow and --egress-domain."),
    Switch("rootless", "Run it in a user namespace; ordinary users always do."),
    Word("userns", "MAP", "keep-id|auto|nomap", "Ids of the user namespace; without one, the caller is root inside."),
    Switch("time-namespace", "A time namespace of its own."),
    Switch("disable-cgroup-namespace", "Show it the host's tree of control groups, read-only."),
    Switch("allow-chroot-fallback", "Use chroot, with a warning, where pivot_root fails; agent mode."),
    Switch("allow-degraded-security", "Go on, with a warning, without a protection that cannot be had; agent mode."),
    Switch("allow-checkpoint", "Go without Landlock, so that `nucleus checkpoint` can be used on it; agent mode."),
    Switch("allow-loader-variables", "Permit environment variables that lead the dynamic loader (LD_PRELOAD, ...)."),
    Word("trust-level", "LEVEL", "trusted|untrusted",
         "How far its program is trusted: untrusted demands gVisor, or --allow-degraded-security."),
    Word("require-kernel-lockdown", "LEVEL", "integrity|confidentiality",
         "Start only where the kernel is locked down so far."),
    Text("health-cmd", "COMMAND", "Command that finds out its health, by /bin/sh inside."),
    Text("health-interval", "DURATION", "Time between two checks; without one, 30s."),
    Text("health-timeout", "DURATION", "Time a check may take; without one, 5s."),
    Text("health-retries", "N", "Failures in a row that make it unhealthy; without one, 3."),
    Text("health-start-period", "DURATION", "Time after the start in which failures do not count."),
    Word("on-unhealthy", "ACTION", "restart|stop|none", "What happens once it is unhealthy."),
    Switch("sd-notify", "Ready once it says so by sd_notify(3); passed on to the NOTIFY_SOCKET of the caller."),
    Text("readiness-tcp", "PORT", "Ready once this port answers inside."),
    Text("readiness-exec", "COMMAND", "Ready once this command, by /bin/sh inside, succeeds."),
    Word("restart", "POLICY", "no|on-failure|always", "When it is started again after an exit; no by default."),
    Text("stop-timeout", "DURATION", "Time it has to stop once it is unhealthy; without one, 10s."),
    Switch("init", "A small init as PID 1 in agent mode; production always has it."),
    Switch("tty",
           "A terminal of its own, joined with the caller's; with --detach nobody types there, and the log has what it "
           "writes.",
           't'),
};

template <std::size_t kCount>
constexpr void Point(const std::array<Option, kCount>& options, auto& at) {
  for (const Option& option : options) *at++ = &option;
}

constexpr auto kAll = [] {
  std::array<const Option*, kOwn.size() + kKeys.size()> all{};
  auto at = all.begin();
  Point(kOwn, at);
  Point(kKeys, at);
  return all;
}();

}  // namespace

std::span<const Option* const> RunOptions() {
  return kAll;
}

bool IsKey(const Option& option) {
  return std::ranges::any_of(kKeys, [&](const Option& key) { return key.name == option.name; });
}

}  // namespace nucleus::cli
