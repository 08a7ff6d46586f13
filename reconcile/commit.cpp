#include "reconcile/commit.hpp"

#include <algorithm>

#include "spec/load.hpp"

namespace nucleus::reconcile {

namespace {

template <class Resources>
std::optional<std::string> JsonOf(const Resources& resources, const std::string& name) {
  const auto found = resources.find(name);
  if (found == resources.end()) return std::nullopt;
  return spec::ToJson(found->second);
}

std::optional<std::string> DesiredJson(const spec::Topology& desired, const Address& address) {
  switch (address.kind) {
    case Kind::kNetwork:
      return JsonOf(desired.networks, address.name);
    case Kind::kVolume:
      return JsonOf(desired.volumes, address.name);
    case Kind::kService:
    case Kind::kContainer:
      return JsonOf(desired.services, address.name);
    case Kind::kTopology:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

Commits::Commits(const Plan& plan, const spec::Topology* desired, std::uint64_t revision, state::Store& store)
    : plan_(plan), desired_(desired), revision_(revision), store_(store) {
  for (const auto& step : plan.steps) ++left_[step.key.address];
  for (const auto& change : plan.changes) {
    if (change.action != Action::kNone) changed_.insert(change.address);
  }
}

Result<> Commits::Begin(std::uint32_t index) {
  const Step& step = plan_.steps[index];
  const bool anew = step.action != Action::kAdopt && step.action != Action::kLive;
  if (step.key.part == Part::kDirectory && anew) TRY(ForgetJobsOf(step.key.address.name));
  const auto* process = step.wanted ? std::get_if<ProcessWanted>(&*step.wanted) : nullptr;
  const bool job = process != nullptr && process->service && process->service->type == spec::ServiceType::kJob;
  if (!job || step.verb != Verb::kApply || step.action == Action::kAdopt) return {};
  return store_.PutCompletedJob(plan_.project, step.key.address.name, std::nullopt);
}

// What they did for a volume that is made anew is gone before they run again, and however that ends.
Result<> Commits::ForgetJobsOf(const std::string& volume) {
  if (desired_ == nullptr) return {};
  for (const auto& [name, service] : desired_->services) {
    const bool mounts = std::ranges::any_of(service.volumes, [&](const auto& mount) { return mount.volume == volume; });
    if (service.type == spec::ServiceType::kJob && mounts)
      TRY(store_.PutCompletedJob(plan_.project, name, std::nullopt));
  }
  return {};
}

Result<> Commits::Done(std::uint32_t index) {
  const Step& step = plan_.steps[index];
  if (step.verb == Verb::kWaitCompleted && step.wanted) {
    TRY(store_.PutCompletedJob(plan_.project, step.key.address.name, std::get<ProcessWanted>(*step.wanted).digest));
  }
  if (--left_[step.key.address] > 0) return {};
  return Write(step.key.address);
}

std::vector<std::pair<std::uint32_t, Error>> Commits::FinishWithoutSteps(bool all_well) {
  std::vector<std::pair<std::uint32_t, Error>> failed;
  if (!all_well) return failed;
  for (const auto& change : plan_.changes) {
    if (left_.contains(change.address)) continue;
    if (auto written = Write(change.address); !written)
      failed.emplace_back(static_cast<std::uint32_t>(plan_.steps.size()), std::move(written.error()));
  }
  return failed;
}

Result<> Commits::Write(const Address& address) {
  if (!changed_.contains(address)) return {};
  if (address.kind == Kind::kTopology) return {};  // it has no row: its firewall follows from the others
  const auto json = desired_ != nullptr ? DesiredJson(*desired_, address) : std::nullopt;
  if (!json) return store_.RemoveResource(plan_.project, address);
  return store_.PutResource(plan_.project, {.address = address, .spec_json = *json, .revision = revision_});
}

}  // namespace nucleus::reconcile
