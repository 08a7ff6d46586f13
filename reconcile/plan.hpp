// The plan: what would change, why, and the steps that do it, as data. Printing, auditing and tracing read it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "spec/keys.hpp"
#include "spec/types.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::reconcile {

// Ordered from least to most intrusive; the action of a resource is the greatest of its reasons'.
enum class Action : std::uint8_t { kNone, kAdopt, kCreate, kLive, kSignal, kRestart, kReplace, kDestroy };
std::string_view ActionName(Action action);

// What was asked for by the last apply, per resource, as the store has it.
struct Applied {
  std::uint64_t revision = 0;
  spec::Topology topology;                       // resources whose steps have completed
  std::map<std::string, spec::Ipv4> addresses;   // "service.web/internal" -> leased address
  std::map<std::string, spec::Ipv4Net> subnets;  // "network.front" -> chosen subnet, where the file names none
  std::map<std::string, Digest> completed_jobs;  // service -> process digest of the run that exited 0
  bool by_command = false;                       // its one container was started by a command, and is in no file
};

// What else holds host-wide choices: other projects' subnets and published ports; and, where data are to be deleted,
// the paths of their persistent volumes.
struct Taken {
  std::vector<std::pair<spec::Ipv4Net, std::string>> subnets;  // and whose it is
  std::vector<std::pair<spec::PortForward, std::string>> ports;
  std::vector<std::pair<spec::Ipv6Net, std::string>> subnets6;
  std::vector<std::pair<std::string, std::string>> volumes;
};

struct Observed {
  Host host;
  Observations parts;
};

struct Reason {
  enum class Type : std::uint8_t {
    kNew,         // desired, not applied
    kChanged,     // desired differs from applied
    kRemoved,     // applied, not desired
    kDrift,       // observed differs from applied
    kDependency,  // something this rests on is restarted or replaced
    kLeftover,    // carries our tags, is in nobody's state
    kAsked,       // --rerun, --replace
    kAdopted,     // runs as desired, but the store did not know
  };
  Type type = Type::kNew;
  std::string text;   // "memory 512M → 1G", "rootfs changed", "veth nv1234 missing"
  std::string field;  // key of the file, or name of the fact
  spec::Place place;  // line 0: none
};

// One line of the plan: a resource.
struct Change {
  Address address;
  Action action = Action::kNone;
  bool drift = false;    // only drift, no change
  bool unknown = false;  // a part could not be read: `?`
  std::vector<Reason> reasons;
};

enum class Verb : std::uint8_t { kApply, kUndo, kSignal, kWaitStarted, kWaitHealthy, kWaitCompleted };

// One thing the executor does. Unique by (key, verb, after_completion).
struct Step {
  PartKey key;
  Verb verb = Verb::kApply;
  Action action = Action::kCreate;  // why it is here, in a word; kAdopt: nothing is made, only looked at and recorded
  std::shared_ptr<const Wanted> wanted;  // for kUndo: what it was, where known; steps of a part share it
  int signal = 0;
  bool delete_data = false;
  bool after_completion = false;           // of a job: undoes what it ran in, once it has completed
  std::vector<std::uint32_t> after;        // indexes of steps that must have succeeded
  [[nodiscard]] std::string Text() const;  // "service.web/netns", "service.db/process (healthy)"
};

struct Plan {
  std::string project;
  std::uint64_t base_revision = 0;
  std::vector<Change> changes;        // destroying ones first, then by address; those with nothing to do are left out
  std::vector<Step> steps;            // in an order that respects `after`
  std::vector<std::string> warnings;  // limits the machine cannot hold, ...
  std::set<std::string> unheld;       // "service.web memory": what the warnings are about
  std::map<std::string, spec::Ipv4> addresses;  // leases to take before the first step
  std::map<std::string, spec::Ipv4Net> subnets;
  Digest digest;  // over all above but texts for people; equal plans from equal inputs
  [[nodiscard]] bool empty() const { return steps.empty(); }
  [[nodiscard]] bool HasChanges() const { return !changes.empty(); }
};

}  // namespace nucleus::reconcile
