#include "reconcile/same.hpp"

#include <tuple>

namespace nucleus::reconcile {

namespace {

// The bindings name every member, so that a new one does not compile until it is thought of here. Places have no
// meaning, nor where environment variables were read from.
auto Meaning(const spec::Network& network) {
  const auto& [name, subnet, gateway, subnet6, internal, mtu, places] = network;
  return std::tie(name, subnet, gateway, subnet6, internal, mtu);
}

auto Meaning(const spec::Volume& volume) {
  const auto& [name, type, path, owner, mode, size, protect, places] = volume;
  return std::tie(name, type, path, owner, mode, size, protect);
}

auto Meaning(const spec::Service& service) {
  const auto& [name, type, mode, rootfs, command, environment, env_files, workdir, hostname, user, additional_groups,
               memory, memory_high, memory_swap, milli_cpus, cpu_weight, pids, io_limits, memlock, seccomp_profile,
               caps_policy, landlock_policy, seccomp_sha, caps_sha, landlock_sha, seccomp_allow, seccomp_mode,
               seccomp_log, log_denied, trust, lockdown, degraded, chroot_fallback, loader, checkpoint, time_namespace,
               host_cgroups, rootless, userns, network, host_network, networks, port_forwards, dns, address, nat,
               egress_allow, egress_tcp, egress_udp, egress_domains, volumes, tmpfs, context, context_mode,
               context_include, context_exclude, verify_context, verify_rootfs, secrets, credentials, health, sd_notify,
               readiness_tcp, readiness_exec, restart, depends_on, protect, stop_signal, stop_timeout, reload_signal,
               init, tty, hooks, labels, inputs, places] = service;
  return std::tie(name, type, mode, rootfs, command, environment, workdir, hostname, user, additional_groups, memory,
                  memory_high, memory_swap, milli_cpus, cpu_weight, pids, io_limits, memlock, seccomp_profile,
                  caps_policy, landlock_policy, seccomp_sha, caps_sha, landlock_sha, seccomp_allow, seccomp_mode,
                  seccomp_log, log_denied, trust, lockdown, degraded, chroot_fallback, loader, checkpoint,
                  time_namespace, host_cgroups, rootless, userns, network, host_network, networks, port_forwards, dns,
                  address, nat, egress_allow, egress_tcp, egress_udp, egress_domains, volumes, tmpfs, context,
                  context_mode, context_include, context_exclude, verify_context, verify_rootfs, secrets, credentials,
                  health, sd_notify, readiness_tcp, readiness_exec, restart, depends_on, protect, stop_signal,
                  stop_timeout, reload_signal, init, tty, hooks, labels, inputs);
}

}  // namespace

bool SameMeaning(const spec::Network& a, const spec::Network& b) {
  return Meaning(a) == Meaning(b);
}
bool SameMeaning(const spec::Volume& a, const spec::Volume& b) {
  return Meaning(a) == Meaning(b);
}
bool SameMeaning(const spec::Service& a, const spec::Service& b) {
  return Meaning(a) == Meaning(b);
}

}  // namespace nucleus::reconcile
