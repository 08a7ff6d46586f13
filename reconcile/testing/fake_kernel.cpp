#include "reconcile/testing/fake_kernel.hpp"

#include <algorithm>

#include "spec/net.hpp"

namespace nucleus::reconcile::testing {

namespace {

const DirectoryWanted* Persistent(const Wanted* wanted) {
  const auto* directory = wanted == nullptr ? nullptr : std::get_if<DirectoryWanted>(wanted);
  return directory != nullptr && directory->type == spec::VolumeType::kPersistent ? directory : nullptr;
}

bool IsJob(const ProcessWanted& wanted) {
  return wanted.service->type == spec::ServiceType::kJob;
}

}  // namespace

std::vector<Part> FakeKernel::Parts() const {
  return {Part::kBridge, Part::kFirewall, Part::kDirectory, Part::kCgroup, Part::kNetns, Part::kNames, Part::kProcess};
}

Result<> FakeKernel::Refuse(std::string_view operation, const PartKey& key, std::string_view cause) const {
  return Fail(ErrorCode::kSystem, operation, key.Text(), cause);
}

bool FakeKernel::Has(const PartKey& like, Part part) const {
  return objects_.contains({like.project, like.address, part});
}

Observation FakeKernel::Look(const PartKey& key, const Wanted* wanted) const {
  if (hidden_) return {Presence::kUnreadable, {}, {}, "hidden"};
  if (const auto* directory = Persistent(wanted)) {
    const auto found = directories_.find(directory->path);
    return found == directories_.end() ? Observation{} : Observation{Presence::kPresent, found->second, {}, ""};
  }
  const auto found = objects_.find(key);
  return found == objects_.end() ? Observation{} : found->second.observation;
}

Result<Observations> FakeKernel::Probe(const ProbeRequest& request) {
  const std::lock_guard lock(mutex_);
  Observations answer;
  for (const auto& [key, wanted] : request.parts) answer.emplace(key, Look(key, &wanted));
  if (request.only_asked || hidden_) return answer;
  for (const auto& [key, object] : objects_) {
    if (key.project == request.project) answer.try_emplace(key, object.observation);
  }
  return answer;
}

// What the part needs has to be there.
Result<> FakeKernel::CheckGround(const PartKey& key, const Wanted& wanted) const {
  if (const auto* netns = std::get_if<NetnsWanted>(&wanted)) {
    for (const auto& attachment : netns->attachments) {
      const PartKey bridge{key.project, {Kind::kNetwork, attachment.network}, Part::kBridge};
      if (!objects_.contains(bridge)) return Refuse("apply", key, "no bridge for " + attachment.network);
    }
  }
  const auto* process = std::get_if<ProcessWanted>(&wanted);
  if (process == nullptr) return {};
  if (!process->cgroup.empty() && !Has(key, Part::kCgroup)) return Refuse("apply", key, "no cgroup");
  if (!Has(key, Part::kNetns)) return Refuse("apply", key, "no network namespace");
  if (!Has(key, Part::kNames)) return Refuse("apply", key, "no names");
  if (!process->service->networks.empty() &&
      !objects_.contains({key.project, {Kind::kTopology, key.project}, Part::kFirewall})) {
    return Refuse("apply", key, "no firewall");
  }
  for (const auto& [volume, path] : process->volume_paths) {
    if (!directories_.contains(path) && !objects_.contains({key.project, {Kind::kVolume, volume}, Part::kDirectory})) {
      return Refuse("apply", key, "no volume " + volume);
    }
  }
  TRY(CheckPorts(key, *process));
  const auto there = objects_.find(key);
  if (there == objects_.end()) return {};
  const auto& facts = there->second.observation.facts;
  if (facts.at("digest") != process->digest.Hex() || facts.at("state") != "running") {
    return Refuse("apply", key, "another process is in its place");
  }
  return {};
}

// Sockets of programs in user space: nobody has one while another one has.
Result<> FakeKernel::CheckPorts(const PartKey& key, const ProcessWanted& wanted) const {
  if (!hold_ports_ || !spec::IsUserspace(wanted.service->nat_backend)) return {};
  for (const auto& port : wanted.service->port_forwards) {
    for (const auto& [other, object] : objects_) {
      if (other == key) continue;
      if (std::ranges::any_of(object.ports, [&](const auto& its) { return spec::Collide(its, port); }))
        return Refuse("apply", key, other.Text() + " has port " + spec::Format(port));
    }
  }
  return {};
}

// Nothing may use what is taken away.
Result<> FakeKernel::CheckUnused(const PartKey& key) const {
  if (key.part == Part::kCgroup || key.part == Part::kNetns || key.part == Part::kNames) {
    if (Has(key, Part::kProcess)) return Refuse("undo", key, "a process is in it");
  }
  const auto own = objects_.find(key);
  if (key.part == Part::kBridge && own != objects_.end()) {
    for (const auto& [other, object] : objects_) {
      if (other.part != Part::kNetns) continue;
      for (const auto& link : own->second.bridges) {
        if (object.bridges.contains(link)) return Refuse("undo", key, other.Text() + " is attached to it");
      }
    }
  }
  return {};
}

Result<> FakeKernel::Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  if (progress) progress("applying " + key.Text());
  if (failing_.contains(key)) return Fail(failing_.at(key), "apply", key.Text(), "told to fail");
  TRY(CheckGround(key, wanted));
  if (const auto* directory = Persistent(&wanted)) {
    directories_[directory->path] = ExpectedFacts(wanted);
    return {};
  }
  const bool fresh = !objects_.contains(key);
  Object& object = objects_[key];
  object.observation.presence = Presence::kPresent;
  object.observation.facts = ExpectedFacts(wanted);
  object.bridges.clear();
  if (const auto* bridge = std::get_if<BridgeWanted>(&wanted)) object.bridges.insert(bridge->link);
  if (const auto* netns = std::get_if<NetnsWanted>(&wanted)) {
    for (const auto& attachment : netns->attachments) object.bridges.insert(attachment.bridge);
  }
  if (const auto* process = std::get_if<ProcessWanted>(&wanted)) {
    if (fresh) ++starts_[key];
    object.ports.clear();
    if (spec::IsUserspace(process->service->nat_backend)) object.ports = process->service->port_forwards;
    if (IsJob(*process)) {
      object.observation.facts["state"] = "exited";
      object.observation.notes["exit_code"] = unhealthy_.contains(key) ? "1" : "0";
    }
  }
  return {};
}

Result<> FakeKernel::Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                          const ProgressSink& progress) {
  const std::lock_guard lock(mutex_);
  ++calls_;
  if (progress) progress("undoing " + key.Text());
  if (failing_.contains(key)) return Fail(failing_.at(key), "undo", key.Text(), "told to fail");
  TRY(CheckUnused(key));
  if (const auto* directory = Persistent(wanted); directory != nullptr && options.delete_data) {
    directories_.erase(directory->path);
  }
  objects_.erase(key);
  return {};
}

Result<> FakeKernel::Wait(const PartKey& key, const ProcessWanted& wanted, Milestone milestone, Duration) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return Fail(ErrorCode::kUnhealthy, "wait for", key.Text(), "it is not there");
  if (failing_.contains(key) || unhealthy_.contains(key)) {
    return Fail(ErrorCode::kUnhealthy, "wait for", key.Text(), "told to be unhealthy");
  }
  const auto& state = found->second.observation.facts.at("state");
  const bool ends = milestone == Milestone::kCompleted || IsJob(wanted);  // a job has started once it has completed
  const std::string_view expected = ends ? "exited" : "running";
  if (state != expected) return Fail(ErrorCode::kUnhealthy, "wait for", key.Text(), "it is " + state);
  return {};
}

Result<> FakeKernel::Signal(const PartKey& key, const ProcessWanted&, int) {
  const std::lock_guard lock(mutex_);
  if (!objects_.contains(key)) return Refuse("signal", key, "it is not there");
  ++signals_[key];
  return {};
}

void FakeKernel::Reboot() {
  objects_.clear();
}

void FakeKernel::SetFact(const PartKey& key, const std::string& fact, const std::string& value) {
  if (const auto found = objects_.find(key); found != objects_.end()) found->second.observation.facts[fact] = value;
}

void FakeKernel::SetNote(const PartKey& key, const std::string& note, const std::string& value) {
  if (const auto found = objects_.find(key); found != objects_.end()) found->second.observation.notes[note] = value;
}

void FakeKernel::DropFact(const PartKey& key, const std::string& fact) {
  if (const auto found = objects_.find(key); found != objects_.end()) found->second.observation.facts.erase(fact);
}

std::set<PartKey> FakeKernel::Keys() const {
  std::set<PartKey> keys;
  for (const auto& [key, object] : objects_) keys.insert(key);
  return keys;
}

Observations FakeKernel::All() const {
  Observations all;
  for (const auto& [key, object] : objects_) all.emplace(key, object.observation);
  return all;
}

std::size_t FakeKernel::StartsOf(const PartKey& process) const {
  const auto found = starts_.find(process);
  return found == starts_.end() ? 0 : found->second;
}

std::size_t FakeKernel::SignalsOf(const PartKey& process) const {
  const auto found = signals_.find(process);
  return found == signals_.end() ? 0 : found->second;
}

}  // namespace nucleus::reconcile::testing
