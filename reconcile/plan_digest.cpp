#include "reconcile/plan_digest.hpp"

#include <array>
#include <charconv>
#include <string_view>
#include <vector>

#include "reconcile/parallel.hpp"
#include "state/parts/facts.hpp"

namespace nucleus::reconcile {

namespace {

class Hash : private FactSink {
 public:
  Hash& Field(std::string_view text) {
    hash_.AddField(text);
    return *this;
  }
  Hash& Number(std::uint64_t value) {
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    return Field({digits.data(), end});
  }
  Hash& Facts(const Wanted& wanted) {
    TellFacts(wanted, *this);
    return *this;
  }
  Digest Finish() { return hash_.Finish(); }  // and start anew

 private:
  void Fact(std::string_view name, std::string_view value) override { Field(name).Field(value); }

  Sha256 hash_;
};

Digest DigestOf(const Step& step, Hash& hash) {
  hash.Field(step.key.Text()).Number(static_cast<unsigned>(step.verb)).Number(static_cast<unsigned>(step.action));
  hash.Number(static_cast<unsigned>(step.signal)).Number(step.delete_data).Number(step.after_completion);
  for (const auto before : step.after) hash.Number(before);
  if (step.wanted && step.verb == Verb::kApply) hash.Facts(*step.wanted);
  return hash.Finish();
}

std::string_view BytesOf(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

// All but the revision. Over the digests of the steps, which are many and of which each stands on its own.
Digest WhateverTheRevision(const Plan& plan) {
  std::vector<Digest> steps(plan.steps.size());
  ForEachPieceInParallel(steps.size(), [&](std::size_t begin, std::size_t end) {
    Hash hash;
    for (std::size_t i = begin; i < end; ++i) steps[i] = DigestOf(plan.steps[i], hash);
  });
  Hash hash;
  hash.Field(plan.project);
  hash.Number(plan.changes.size());
  for (const auto& change : plan.changes) {
    hash.Field(change.address.Text())
        .Number(static_cast<unsigned>(change.action))
        .Number(change.drift)
        .Number(change.unknown);
    hash.Number(change.reasons.size());
    for (const auto& reason : change.reasons) hash.Number(static_cast<unsigned>(reason.type)).Field(reason.field);
  }
  hash.Number(steps.size());
  for (const auto& step : steps) hash.Field(BytesOf(step));
  for (const auto& name : plan.unheld) hash.Field(name);
  for (const auto& [key, address] : plan.addresses) hash.Field(key).Number(address.value);
  for (const auto& [key, net] : plan.subnets) hash.Field(key).Number(net.base.value).Number(net.prefix);
  return hash.Finish();
}

}  // namespace

Digest DigestOf(const Plan& plan) {
  return Hash().Number(plan.base_revision).Field(BytesOf(WhateverTheRevision(plan))).Finish();
}

Digest WorkDigestOf(const Plan& plan) {
  Hash hash;
  hash.Field(BytesOf(WhateverTheRevision(plan)));
  for (const auto& change : plan.changes) {
    for (const auto& reason : change.reasons)
      if (reason.type == Reason::Type::kDrift) hash.Field(reason.text);
  }
  return hash.Finish();
}

}  // namespace nucleus::reconcile
