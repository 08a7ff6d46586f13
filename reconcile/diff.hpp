// Differences in words: of fields (desired against applied) and of facts (observed against expected). Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "reconcile/fields.hpp"
#include "reconcile/plan.hpp"

namespace nucleus::reconcile {

struct FieldChange {
  FieldRule rule;
  std::string field;   // as in the canonical form
  std::string text;    // "memory 512M → 1G", "rootfs changed"
  bool noted = false;  // known for the first time, which is no change: nothing was known to compare it with
};
std::vector<FieldChange> DiffFields(spec::Scope scope, const spec::Fields& applied, const spec::Fields& desired);
std::vector<FieldChange> DiffFields(const spec::Network& applied, const spec::Network& desired);
std::vector<FieldChange> DiffFields(const spec::Volume& applied, const spec::Volume& desired);
std::vector<FieldChange> DiffFields(const spec::Service& applied, const spec::Service& desired);

struct FactChange {
  std::string name;
  std::optional<std::string> seen;      // none: missing
  std::optional<std::string> expected;  // none: one too many
};
// Of a firewall: why what it lets out does not get there. Nothing else expects it.
inline constexpr std::string_view kWayOutFact = "way out";
std::vector<FactChange> DiffFacts(const Facts& seen, const Facts& expected);

// "memory.max max → 536870912", "link eth0 missing → restore".
std::string Describe(const FactChange& change);
// The same for several facts of a part in one sentence; for errors.
std::string Describe(const std::vector<FactChange>& changes);

}  // namespace nucleus::reconcile
