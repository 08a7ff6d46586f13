// What the planner knows while it plans: every resource with its three states, and what has been decided for its parts.
// Internal to the planner. Pure.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "reconcile/data_keepers.hpp"
#include "reconcile/planner.hpp"
#include "reconcile/scope.hpp"
#include "reconcile/wanted.hpp"

namespace nucleus::reconcile {

// What is to be done about a part. Ordered: the greater wins.
enum class Remedy : std::uint8_t {
  kKeep,    // nothing
  kRecord,  // nothing in the kernel; the store writes down that it is so
  kApply,   // made, or changed in place
  kRemake,  // undone, then made
  kUndo,    // undone
};

struct PartState {
  Part part = Part::kProcess;
  const Observation* seen = nullptr;  // null: absent
  Remedy remedy = Remedy::kKeep;
  Action action = Action::kNone;  // why, in a word
  bool wanted = false;
  bool matches = false;           // it is there, and exactly as desired
  Wanted* want = nullptr;         // as desired; see Model::Want()
  const Wanted* asked = nullptr;  // what the probers are asked for: as desired, or else as applied
  [[nodiscard]] bool present() const { return seen != nullptr && seen->presence == Presence::kPresent; }
  [[nodiscard]] bool unreadable() const { return seen != nullptr && seen->presence == Presence::kUnreadable; }
  // What rests on it does not see it any more.
  [[nodiscard]] bool made_anew() const {
    const bool anew = action == Action::kCreate || action == Action::kRestart;
    return remedy == Remedy::kRemake || (remedy == Remedy::kApply && anew);
  }
  void Raise(Remedy to, Action why) {
    if (to > remedy) remedy = to;
    if (why > action) action = why;
  }
};

template <class T>
struct States {
  const T* desired = nullptr;
  const T* applied = nullptr;
};

struct Resource {
  Address address;
  bool in_scope = true;
  bool desired = false, applied = false;
  States<spec::Network> network;  // the one of its kind is set
  States<spec::Volume> volume;
  States<spec::Service> service;
  bool same = false;  // desired and applied mean the same

  std::array<PartState, 4> parts{};
  std::size_t part_count = 0;

  std::vector<std::pair<Action, Reason>> reasons;
  bool unknown = false;
  bool uncertain = false;   // what its parts rest on cannot be told from what was applied
  bool job_done = false;    // a job that completed as it is desired: wants no parts
  bool await = false;       // wait for its own milestone
  bool reload = false;      // signal the workload after the process part was applied
  bool drift_cause = true;  // whatever restarts it came from drift alone

  [[nodiscard]] bool job() const {
    return service.desired != nullptr && service.desired->type == spec::ServiceType::kJob;
  }
  [[nodiscard]] PartState* Find(Part part);
  [[nodiscard]] const PartState* Find(Part part) const;
  [[nodiscard]] Action action() const;  // the greatest of its reasons'
  [[nodiscard]] bool Restarts() const;  // its workload is stopped and started, or started anew
  void Because(Action action, Reason::Type type, std::string text, std::string field = "", spec::Place place = {});
};

// Made in three moves: which resources there are, what should be of them, and what was seen.
class Model {
 public:
  // All of it outlives the model.
  Model(const Question& question, const Scope& scope);
  void AddWanted(const Leases& desired_leases);
  void See(const Observations& seen);

  // What every part of the resources in scope should be. Its nodes may be taken out for a while, but not changed.
  [[nodiscard]] std::map<PartKey, Wanted>& parts() { return parts_; }

  [[nodiscard]] const Wanted* Want(const Resource& resource, Part part) const;         // as desired; null: nothing
  [[nodiscard]] std::optional<Wanted> Was(const Resource& resource, Part part) const;  // as applied
  [[nodiscard]] bool HadBeen(const Resource& resource, Part part) const;               // whether Was() has something
  // What Want() has, independent of the question from now on; the model's own is empty then. A part is given up once.
  [[nodiscard]] std::shared_ptr<const Wanted> GiveUp(const Resource& resource, Part part);

  // Which volume that stays has the directory of one that goes, or one above or below it: "volume.NAME", with its
  // project where that is another. "" for none.
  [[nodiscard]] std::string KeeperOfData(const spec::Volume& goes) const;

  // The ports of a service in user space that it gives up, and that another service of the plan in user space is to
  // have; by that one's address.
  [[nodiscard]] std::vector<std::pair<spec::PortForward, Address>> PortsThatMove(const Resource& giver) const;

  [[nodiscard]] std::optional<std::uint32_t> IndexOf(Kind kind, std::string_view name) const;
  // What a resource rests on, by index: networks it is attached to, volumes it mounts.
  [[nodiscard]] std::vector<std::uint32_t> NetworksOf(const spec::Service* service) const;
  [[nodiscard]] std::vector<std::uint32_t> VolumesOf(const spec::Service* service) const;
  [[nodiscard]] std::vector<std::uint32_t> DependenciesOf(const spec::Service* service) const;

  std::vector<Resource> resources;  // sorted by address
  [[nodiscard]] const Question& question() const { return *question_; }
  [[nodiscard]] const Side& desired() const { return *desired_; }
  [[nodiscard]] const std::string& project() const { return scope_->desired->name; }

 private:
  struct Place {
    Resource* resource;
    PartState* state;
    std::map<PartKey, Wanted>::iterator node;
    bool none = false;
  };
  [[nodiscard]] const Side& applied() const;
  void AddKnown();
  void AddPlaces();
  // Of the resources in [begin, end). How many of what was seen are parts of theirs.
  std::size_t Look(const Observations& seen, std::size_t begin, std::size_t end);
  void AddStrangers(const Observations& seen);
  [[nodiscard]] std::optional<Wanted> WantedOf(const Resource& resource, Part part) const;
  Resource& Add(Address address);

  const Question* question_;
  const Scope* scope_;
  std::optional<Side> desired_;
  // Made when it is first asked for, by any thread: where nothing changes, nobody does.
  mutable std::once_flag keepers_asked_;
  mutable DataKeepers keepers_;
  mutable std::once_flag applied_asked_;
  mutable std::optional<Leases> applied_leases_;
  mutable std::optional<Side> applied_;
  std::map<PartKey, Wanted> parts_;
  std::vector<Place> places_;  // where what is wanted goes, until it is known
  std::array<std::unordered_map<std::string_view, std::uint32_t>, 5> index_;  // by kind
};

}  // namespace nucleus::reconcile
