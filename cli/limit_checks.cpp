#include "cli/limit_checks.hpp"

#include <unistd.h>

#include "actuators/cgroup/probe.hpp"
#include "reconcile/limits.hpp"
#include "spec/flags.hpp"

namespace nucleus::cli {

Result<std::string> UnheldOptions(const spec::Service& service, const reconcile::Side& side) {
  std::string missing;
  for (const auto& key : side.Unheld(service)) missing += (missing.empty() ? "" : ", ") + spec::FlagOf(key);
  if (missing.empty() || service.mode != spec::ServiceMode::kProduction) return missing;
  return Fail(reconcile::NotHeld(missing).Hint("--service-mode agent goes on without the limit"));
}

Result<> CheckOptionLimits(const spec::Topology& topology, const Directories& directories) {
  Host host;
  TRY(cgroup::FillHost(host, topology.name));
  const reconcile::Leases none;
  const reconcile::Side side(topology, none, host, directories);
  (void)TRY(UnheldOptions(topology.services.begin()->second, side));
  return {};
}

std::string SaidOfOptions(const reconcile::Plan& plan, const std::string& warning) {
  const auto colon = warning.find(": ");
  const auto blank = warning.find(' ');
  if (colon == warning.npos || blank > colon || !plan.unheld.contains(warning.substr(0, colon))) return warning;
  const std::string key = warning.substr(blank + 1, colon - blank - 1);
  return (spec::FindKey(spec::Scope::kService, key) == nullptr ? key : spec::FlagOf(key)) + warning.substr(colon);
}

Result<> CheckLimits(const spec::Topology& desired, const reconcile::Options& options) {
  if (!options.targets.empty() || !options.excludes.empty()) return {};
  if (::access(options.directories.AppliedDb().c_str(), F_OK) == 0) return {};
  Host host;
  TRY(cgroup::FillHost(host, desired.name));
  const reconcile::Leases none;
  const reconcile::Side side(desired, none, host, options.directories);
  for (const auto& [name, service] : desired.services) {
    if (service.mode != spec::ServiceMode::kProduction) continue;
    const auto unheld = side.Unheld(service);
    if (!unheld.empty()) return Fail(reconcile::NotHeld(Address{Kind::kService, name}.Text() + " " + unheld.front()));
  }
  return {};
}

}  // namespace nucleus::cli
