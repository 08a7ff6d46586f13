#include "cli/machine_checks.hpp"

#include <unistd.h>

#include <set>
#include <string>

#include "actuators/netns/firewalld.hpp"
#include "actuators/netns/userspace_program.hpp"
#include "actuators/security/landlock_abi.hpp"
#include "actuators/sys/landlock.hpp"
#include "actuators/sys/lockdown.hpp"
#include "actuators/sys/protections.hpp"
#include "cli/given_paths.hpp"
#include "spec/core/names.hpp"
#include "spec/validate.hpp"

namespace nucleus::cli {

namespace {

bool InProduction(const spec::Service& service) {
  return service.mode == spec::ServiceMode::kProduction;
}

std::unexpected<Error> Lacks(const spec::Service& service, std::string_view what, std::string_view why) {
  Error error = Error::Of(ErrorCode::kUnsupported, "", what, why);
  if (InProduction(service)) return Fail(std::move(error).In("service_mode"));
  return Fail(std::move(error).Hint("allow_degraded_security = true goes on without"));
}

Result<> CheckFilters(const spec::Service& service) {
  const bool traced = service.seccomp_mode == spec::SeccompMode::kTrace;
  if ((service.allow_degraded_security && !traced) || sys::HasSeccompFilters()) return {};
  constexpr std::string_view kWhy = "this kernel has no filters";
  if (traced) return Fail(Error::Of(ErrorCode::kUnsupported, "", "seccomp", kWhy).In("seccomp_mode"));
  return Lacks(service, "seccomp", kWhy);
}

// What a policy asks for beyond that is looked at with the policy.
Result<> CheckLandlock(const spec::Service& service) {
  if (service.allow_checkpoint) return {};
  const std::uint32_t abi = sys::LandlockAbi();
  if (!InProduction(service))
    return abi > 0 || service.allow_degraded_security ? Result<>() : Lacks(service, "Landlock", "this kernel has none");
  if (abi >= security::kMinAbiProduction) return {};
  return Lacks(service, "production requires Landlock ABI " + std::to_string(security::kMinAbiProduction),
               "this kernel has " + (abi == 0 ? "none" : "ABI " + std::to_string(abi)));
}

Result<> CheckSwap(const spec::Service& service) {
  const bool secret = !service.secrets.empty() || !service.systemd_credentials.empty();
  if (!secret || !InProduction(service) || !sys::MachineSwaps() || sys::HasUnswappedTmpfs().value_or(true)) return {};
  const auto [why, hint] = sys::WhySwapped(::geteuid() != 0);
  return Fail(Error::Of(ErrorCode::kUnsupported, "keep", "secrets", why).Hint(hint));
}

// Where nobody may ask the kernel for its rules, nobody makes a bridge either.
void CheckFirewalld(const spec::Topology& topology, std::vector<spec::Problem>& problems) {
  std::set<std::string> links;
  for (const auto& [name, service] : topology.services) {
    if (spec::IsUserspace(service.nat_backend)) continue;
    for (const auto& network : service.networks) {
      const auto found = topology.networks.find(network);
      if (found != topology.networks.end() && !found->second.internal) links.insert(BridgeLink(topology.name, network));
    }
  }
  if (links.empty()) return;
  const auto closed = netns::ClosedByFirewalld({links.begin(), links.end()});
  if (!closed || closed->empty()) return;
  spec::Problem problem;
  problem.warning = true;
  problem.message =
      "firewalld lets nothing be forwarded from bridges of nucleus, so containers may have no way out; install "
      "zone.xml "
      "and policy.xml of nucleus below /etc/firewalld (docs/security.md), then firewall-cmd --reload";
  problems.push_back(std::move(problem));
}

}  // namespace

Result<> CheckLockdown(const spec::Service& service) {
  if (!service.require_kernel_lockdown) return {};
  const std::string level = TRY(sys::ReadLockdown());
  const bool integrity = *service.require_kernel_lockdown == spec::Lockdown::kIntegrity;
  if (level == "confidentiality" || (integrity && level == "integrity")) return {};
  return Fail(ErrorCode::kUnsupported, "", "", "this kernel's lockdown is " + level);
}

Result<> CheckKernel(const spec::Service& service) {
  TRY_IN("require_kernel_lockdown", CheckLockdown(service));
  TRY(CheckFilters(service));
  TRY(CheckLandlock(service));
  TRY_IN(service.secrets.empty() ? "systemd_credentials" : "secrets", CheckSwap(service));
  return {};
}

std::vector<spec::Problem> CheckMachine(const spec::Topology& topology) {
  std::vector<spec::Problem> problems;
  CheckFirewalld(topology, problems);
  const auto report = [&](const spec::Service& service, Error error) {
    const std::string key = error.trail.empty() ? "" : error.trail.front();
    error.trail.clear();
    const std::string text = error.Message() + (error.hint.empty() ? "" : "; " + error.hint);
    problems.push_back(ProblemAt(topology, spec::PlaceOf(service, key), key.empty() ? text : key + ": " + text));
  };
  for (const auto& [name, service] : topology.services) {
    if (auto checked = CheckKernel(service); !checked) report(service, std::move(checked).error());
    if (!spec::IsUserspace(service.nat_backend) || service.networks.empty()) continue;
    if (auto program = netns::FindUserspaceProgram(service.nat_backend, service.port_forwards); !program)
      report(service, std::move(program).error().In("nat_backend"));
  }
  return problems;
}

}  // namespace nucleus::cli
