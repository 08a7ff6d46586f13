#include "reconcile/fields.hpp"

#include <array>
#include <utility>

#include "spec/core/sorted_table.hpp"

namespace nucleus::reconcile {

namespace {

using spec::Scope;
using enum Effect;
using enum Home;
using enum Show;

constexpr auto kRules = std::to_array<FieldRule>({
    {Scope::kNetwork, "gateway", kReplace, kPart, kValue},
    {Scope::kNetwork, "internal", kLive, kPart, kValue},
    {Scope::kNetwork, "mtu", kLive, kPart, kValue},
    {Scope::kNetwork, "subnet", kReplace, kPart, kValue},
    {Scope::kNetwork, "subnet6", kLive, kPart, kValue},

    {Scope::kVolume, "mode", kLive, kPart, kValue},
    {Scope::kVolume, "owner", kLive, kPart, kValue},
    {Scope::kVolume, "path", kReplace, kPart, kValue},
    {Scope::kVolume, "protect", kLive, kRecord, kValue},
    {Scope::kVolume, "size", kLive, kPart, kValue},
    {Scope::kVolume, "volume_type", kReplace, kPart, kValue},

    {Scope::kService, "additional_groups", kRestart, kWorkload, kValue},
    {Scope::kService, "address", kRestart, kWorkload, kValue},
    {Scope::kService, "allow_checkpoint", kRestart, kWorkload, kValue},
    {Scope::kService, "allow_chroot_fallback", kRestart, kWorkload, kValue},
    {Scope::kService, "allow_degraded_security", kRestart, kWorkload, kValue},
    {Scope::kService, "allow_host_network", kLive, kRecord, kValue},
    {Scope::kService, "allow_loader_variables", kLive, kRecord, kValue},
    {Scope::kService, "caps_policy", kRestart, kWorkload, kName},
    {Scope::kService, "caps_policy_sha256", kLive, kRecord, kName},
    {Scope::kService, "command", kRestart, kWorkload, kName},
    {Scope::kService, "context", kRestart, kWorkload, kName},
    {Scope::kService, "context_exclude", kRestart, kWorkload, kValue},
    {Scope::kService, "context_include", kRestart, kWorkload, kValue},
    {Scope::kService, "context_mode", kRestart, kWorkload, kValue},
    {Scope::kService, "cpu_weight", kLive, kPart, kValue},
    {Scope::kService, "cpus", kLive, kPart, kValue},
    {Scope::kService, "depends_on", kLive, kRecord, kName},
    {Scope::kService, "disable_cgroup_namespace", kRestart, kWorkload, kValue},
    {Scope::kService, "dns", kLive, kPart, kValue},
    {Scope::kService, "egress_allow", kLive, kPart, kValue},
    {Scope::kService, "egress_domains", kLive, kPart, kValue},
    {Scope::kService, "egress_tcp_ports", kLive, kPart, kValue},
    {Scope::kService, "egress_udp_ports", kLive, kPart, kValue},
    {Scope::kService, "env_file", kRestart, kWorkload, kName},
    {Scope::kService, "environment", kRestart, kWorkload, kName},
    {Scope::kService, "group", kRestart, kWorkload, kValue},
    {Scope::kService, "health_check", kLive, kPolicy, kName},
    {Scope::kService, "health_interval", kLive, kPolicy, kValue},
    {Scope::kService, "health_retries", kLive, kPolicy, kValue},
    {Scope::kService, "health_start_period", kLive, kPolicy, kValue},
    {Scope::kService, "health_timeout", kLive, kPolicy, kValue},
    {Scope::kService, "hooks", kRestart, kWorkload, kName},
    {Scope::kService, "hostname", kRestart, kWorkload, kValue},
    {Scope::kService, "init", kRestart, kWorkload, kValue},
    {Scope::kService, "io_limits", kLive, kPart, kName},
    {Scope::kService, "labels", kLive, kRecord, kName},
    {Scope::kService, "landlock_policy", kRestart, kWorkload, kName},
    {Scope::kService, "landlock_policy_sha256", kLive, kRecord, kName},
    {Scope::kService, "memlock", kRestart, kWorkload, kValue},
    {Scope::kService, "memory", kLive, kPart, kValue},
    {Scope::kService, "memory_high", kLive, kPart, kValue},
    {Scope::kService, "memory_swap", kLive, kPart, kValue},
    {Scope::kService, "nat_backend", kReplace, kWorkload, kValue},
    {Scope::kService, "network", kReplace, kWorkload, kValue},
    {Scope::kService, "networks", kLive, kPart, kValue},
    {Scope::kService, "on_unhealthy", kLive, kPolicy, kValue},
    {Scope::kService, "pids", kLive, kPart, kValue},
    {Scope::kService, "port_forwards", kLive, kPart, kValue},
    {Scope::kService, "protect", kLive, kRecord, kValue},
    {Scope::kService, "readiness_exec", kLive, kPolicy, kName},
    {Scope::kService, "readiness_tcp", kLive, kPolicy, kValue},
    {Scope::kService, "reload_signal", kLive, kRecord, kValue},
    {Scope::kService, "require_kernel_lockdown", kLive, kRecord, kValue},
    {Scope::kService, "restart", kLive, kPolicy, kValue},
    {Scope::kService, "rootfs", kReplace, kWorkload, kName},
    {Scope::kService, "rootless", kRestart, kWorkload, kValue},
    {Scope::kService, "sd_notify", kRestart, kWorkload, kValue},
    {Scope::kService, "seccomp_allow", kRestart, kWorkload, kValue},
    {Scope::kService, "seccomp_log", kRestart, kWorkload, kName},
    {Scope::kService, "seccomp_log_denied", kRestart, kWorkload, kValue},
    {Scope::kService, "seccomp_mode", kRestart, kWorkload, kValue},
    {Scope::kService, "seccomp_profile", kRestart, kWorkload, kName},
    {Scope::kService, "seccomp_profile_sha256", kLive, kRecord, kName},
    {Scope::kService, "secrets", kRestart, kWorkload, kName},
    {Scope::kService, "service_mode", kReplace, kWorkload, kValue},
    {Scope::kService, "stop_signal", kLive, kPolicy, kValue},
    {Scope::kService, "stop_timeout", kLive, kPolicy, kValue},
    {Scope::kService, "systemd_credentials", kRestart, kWorkload, kName},
    {Scope::kService, "time_namespace", kRestart, kWorkload, kValue},
    {Scope::kService, "tmpfs", kRestart, kWorkload, kName},
    {Scope::kService, "trust_level", kLive, kRecord, kValue},
    {Scope::kService, "tty", kRestart, kWorkload, kValue},
    {Scope::kService, "type", kReplace, kWorkload, kValue},
    {Scope::kService, "user", kRestart, kWorkload, kValue},
    {Scope::kService, "userns", kRestart, kWorkload, kValue},
    {Scope::kService, "verify_context_integrity", kRestart, kWorkload, kValue},
    {Scope::kService, "verify_rootfs_attestation", kRestart, kWorkload, kValue},
    {Scope::kService, "volumes", kRestart, kWorkload, kName},
    {Scope::kService, "workdir", kRestart, kWorkload, kValue},
});

const FieldRule* FindRule(Scope scope, std::string_view key) {
  using ByKey = decltype([](const FieldRule& rule) { return std::pair(rule.scope, rule.key); });
  return SortedTable<kRules, ByKey>::Find({scope, key});
}

constexpr std::string_view kContentsSuffix = "#contents";

// Only contents of volumes are files that a running workload has open; those of other keys were read at its start.
bool IsMountedContents(std::string_view field) {
  return field.ends_with(kContentsSuffix) && field.starts_with("volumes:");
}

}  // namespace

bool IsSecretContents(std::string_view field) {
  return field.ends_with(kContentsSuffix) &&
         (field.starts_with("secrets:") || field.starts_with("systemd_credentials:"));
}

std::span<const FieldRule> FieldRules() {
  return kRules;
}

FieldRule RuleOf(Scope scope, std::string_view field) {
  // The planner knows whether the service takes a signal; what it does not take is a restart.
  if (IsMountedContents(field)) return {scope, field, kSignal, kContents, kName};
  if (IsSecretContents(field)) return {scope, field, kRestart, kRecord, kName};
  const std::string_view key = field.substr(0, field.find_first_of(":#"));
  const FieldRule* found = FindRule(scope, key);
  if (found == nullptr) return {scope, key, kRestart, kWorkload, kName};
  FieldRule rule = *found;
  if (key.size() != field.size()) rule.show = kName;
  return rule;
}

ServiceDigests DigestsOf(const spec::Fields& fields, bool job) {
  Sha256 workload, policy;
  for (const auto& field : fields) {
    const auto home = RuleOf(Scope::kService, field.name).home;
    if (home == kWorkload || (job && home == kContents)) workload.AddField(field.name).AddField(field.value);
    if (home == kPolicy) policy.AddField(field.name).AddField(field.value);
  }
  return {workload.Finish(), policy.Finish()};
}

Action ActionOf(Effect effect) {
  switch (effect) {
    case kLive:
      return Action::kLive;
    case kSignal:
      return Action::kSignal;
    case kRestart:
      return Action::kRestart;
    case kReplace:
      return Action::kReplace;
  }
  return Action::kReplace;
}

}  // namespace nucleus::reconcile
