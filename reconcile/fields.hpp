// The one table that says, per key of the file, how a change of it reaches a running resource: live, by a signal, by a
// restart of the process, or by replacing the whole resource; and which part realises it.
//
// A key that is not in the table counts as kRestart; a test keeps the table complete. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "reconcile/plan.hpp"
#include "spec/keys.hpp"

namespace nucleus::reconcile {

enum class Effect : std::uint8_t { kLive, kSignal, kRestart, kReplace };

// Who carries a field out.
enum class Home : std::uint8_t {
  kRecord,    // nobody in the kernel: the store alone remembers it
  kPart,      // the parts that are named after it: bridge, directory, cgroup, netns, names, firewall
  kPolicy,    // what the supervisor follows: the policy digest
  kWorkload,  // the workload itself: the process digest
  kContents,  // the contents of files that are mounted: facts of their own
};

// Whether a plan may print the values: scalars that say more than their name and are no secrets.
enum class Show : std::uint8_t { kValue, kName };

struct FieldRule {
  spec::Scope scope;
  std::string_view key;
  Effect effect;
  Home home;
  Show show;
};

std::span<const FieldRule> FieldRules();

// The rule of a field of the canonical form: "memory", or contents such as "volumes:/etc/app.conf#contents".
FieldRule RuleOf(spec::Scope scope, std::string_view field);

// What a secret or a credential holds. The workload's digest is without it: that it comes to be known is no change.
bool IsSecretContents(std::string_view field);

// Canonical fields by where they take effect.
struct ServiceDigests {
  Digest workload;
  Digest policy;
};
ServiceDigests DigestsOf(const spec::Fields& fields, bool job);  // a job's files are part of what it did

Action ActionOf(Effect effect);

}  // namespace nucleus::reconcile
