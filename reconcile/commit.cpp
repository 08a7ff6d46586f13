#include "reconcile/commit.hpp"

#include <algorithm>

#include "spec/load.hpp"

namespace nucleus::reconcile {

namespace {

constexpr std::size_t kMostPending = 64;
constexpr std::chrono::milliseconds kLongestPending{100};

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
  const auto* process = std::get_if<ProcessWanted>(step.wanted.get());
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
  Add(step.key.address);
  return IsUrgent(step.key.address) ? Write() : Result<>();
}

bool Commits::IsUrgent(const Address& address) const {
  if (address.kind != Kind::kService || desired_ == nullptr) return address.kind != Kind::kService;
  const auto service = desired_->services.find(address.name);
  return service != desired_->services.end() && service->second.protect;
}

void Commits::WriteWhatIsDue(bool idle) {
  if (pending_.empty()) return;
  const bool due = pending_.size() >= kMostPending || std::chrono::steady_clock::now() - since_ >= kLongestPending;
  if (idle || due) (void)Write();
}

Result<> Commits::Finish(std::optional<state::RevisionState> end) {
  for (const auto& change : plan_.changes) {
    if (end == state::RevisionState::kApplied && !left_.contains(change.address)) Add(change.address);
  }
  return end ? store_.FinishRevision(plan_.project, revision_, *end, pending_) : Write();
}

void Commits::Add(const Address& address) {
  if (!changed_.contains(address)) return;
  if (address.kind == Kind::kTopology) return;  // it has no row: its firewall follows from the others
  state::Store::ResourceChange change{.address = address, .row = std::nullopt};
  if (auto json = desired_ != nullptr ? DesiredJson(*desired_, address) : std::nullopt) {
    change.row = {.address = address, .spec_json = *std::move(json), .revision = revision_};
  }
  if (pending_.empty()) since_ = std::chrono::steady_clock::now();
  pending_.push_back(std::move(change));
}

Result<> Commits::Write() {
  if (pending_.empty()) return {};
  TRY(store_.ChangeResources(plan_.project, pending_));
  pending_.clear();
  return {};
}

}  // namespace nucleus::reconcile
