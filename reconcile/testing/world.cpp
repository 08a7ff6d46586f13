#include "reconcile/testing/world.hpp"

#include <algorithm>

namespace nucleus::reconcile::testing {

World::World(std::string project) {
  applied.topology.name = std::move(project);
  host.controllers = {"memory", "cpu", "pids", "io"};
  host.cgroup_usable = true;
  host.privileged = true;
}

PartKey World::Key(Kind kind, const std::string& name, Part part) const {
  return {applied.topology.name, {kind, name}, part};
}

Result<Plan> World::MakePlan(const spec::Topology* desired, Options options) {
  options.directories = directories;
  options.destroy = options.destroy || (desired == nullptr && !options.drift_only);
  ProbeRequest request;
  request.project = applied.topology.name;
  request.parts = TRY(WantedParts(desired, applied, host, taken, options));
  const Observed observed{host, TRY(kernel.Probe(request))};
  return reconcile::MakePlan({desired, &applied, &observed, &taken, options});
}

Result<> World::Perform(const Step& step) {
  const auto process = [&]() -> const ProcessWanted& { return std::get<ProcessWanted>(*step.wanted); };
  switch (step.verb) {
    case Verb::kApply:
      if (step.action == Action::kAdopt) return {};
      return kernel.Apply(step.key, *step.wanted, {});
    case Verb::kUndo:
      return kernel.Undo(step.key, step.wanted.get(), {step.delete_data}, {});
    case Verb::kSignal:
      return kernel.Signal(step.key, process(), step.signal);
    case Verb::kWaitStarted:
      return kernel.Wait(step.key, process(), Milestone::kStarted, Duration(0));
    case Verb::kWaitHealthy:
      return kernel.Wait(step.key, process(), Milestone::kHealthy, Duration(0));
    case Verb::kWaitCompleted:
      TRY(kernel.Wait(step.key, process(), Milestone::kCompleted, Duration(0)));
      applied.completed_jobs[step.key.address.name] = process().digest;
      return {};
  }
  return {};
}

void World::Record(const Plan& plan, const spec::Topology* desired, const Address& address) {
  const bool changed = std::any_of(plan.changes.begin(), plan.changes.end(), [&](const Change& change) {
    return change.address == address && change.action != Action::kNone;
  });
  if (!changed) return;
  const auto put = [&](auto& to, const auto* from) {
    if (from != nullptr && from->contains(address.name)) {
      to.insert_or_assign(address.name, from->at(address.name));
      return;
    }
    to.erase(address.name);
    std::erase_if(applied.addresses, [&](const auto& lease) { return lease.first.starts_with(address.Text() + "/"); });
    applied.subnets.erase(address.Text());
    if (address.kind == Kind::kService) applied.completed_jobs.erase(address.name);
  };
  switch (address.kind) {
    case Kind::kNetwork:
      return put(applied.topology.networks, desired ? &desired->networks : nullptr);
    case Kind::kVolume:
      return put(applied.topology.volumes, desired ? &desired->volumes : nullptr);
    case Kind::kService:
      return put(applied.topology.services, desired ? &desired->services : nullptr);
    case Kind::kTopology:
    case Kind::kContainer:
      return;
  }
}

World::Ran World::Execute(const Plan& plan, const spec::Topology* desired, std::size_t stop_before) {
  Ran ran;
  ++applied.revision;
  // As the store does: what has no row has no lease but by this plan.
  std::erase_if(applied.addresses, [&](const auto& lease) {
    return !applied.topology.services.contains(lease.first.substr(8, lease.first.find('/') - 8));
  });
  std::erase_if(applied.subnets,
                [&](const auto& lease) { return !applied.topology.networks.contains(lease.first.substr(8)); });
  for (const auto& [key, address] : plan.addresses) applied.addresses[key] = address;
  for (const auto& [key, net] : plan.subnets) applied.subnets[key] = net;
  std::vector<bool> done(plan.steps.size());
  std::map<Address, std::size_t> left;
  for (const auto& step : plan.steps) ++left[step.key.address];
  for (std::size_t i = 0; i < plan.steps.size() && i < stop_before; ++i) {
    const auto& step = plan.steps[i];
    if (!std::all_of(step.after.begin(), step.after.end(), [&](auto before) { return done[before]; })) {
      ran.skipped.push_back(step.Text());
      continue;
    }
    if (auto result = Perform(step); !result) {
      ran.failed.emplace_back(step.Text(), result.error());
      continue;
    }
    done[i] = true;
    ++ran.done;
    if (--left[step.key.address] == 0) Record(plan, desired, step.key.address);
  }
  return ran;
}

World::Ran World::Converge(const spec::Topology* desired, const Options& options) {
  const auto plan = MakePlan(desired, options);
  if (!plan) return {0, {{"plan", plan.error()}}, {}};
  return Execute(*plan, desired);
}

}  // namespace nucleus::reconcile::testing
