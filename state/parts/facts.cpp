#include "state/parts/facts.hpp"

#include "state/parts/firewall_model.hpp"
#include "state/parts/spoof_model.hpp"

namespace nucleus {

namespace {

class Collect : public FactSink {
 public:
  void Fact(std::string_view name, std::string_view value) override { facts_.emplace(name, value); }
  Facts Take() { return std::move(facts_); }

 private:
  Facts facts_;
};

// Walks along what was seen; what is not told in the order of the names is looked up.
class Compare : public FactSink {
 public:
  explicit Compare(const Facts& seen) : seen_(seen), at_(seen.begin()) {}

  void Fact(std::string_view name, std::string_view value) override {
    if (!same_) return;
    if (at_ == seen_.end() || at_->first != name) at_ = seen_.find(name);
    same_ = at_ != seen_.end() && at_->second == value;
    if (!same_) return;
    ++at_;
    ++told_;
  }
  [[nodiscard]] bool same() const { return same_ && told_ == seen_.size(); }

 private:
  const Facts& seen_;
  Facts::const_iterator at_;
  std::size_t told_ = 0;
  bool same_ = true;
};

template <class Part>
Facts Collected(const Part& wanted) {
  Collect facts;
  TellFacts(wanted, facts);
  return facts.Take();
}

}  // namespace

void TellFacts(const Wanted& wanted, FactSink& sink) {
  std::visit([&](const auto& part) { TellFacts(part, sink); }, wanted);
}

// The rules are told in the order in which they stand, and share names.
void TellFacts(const FirewallWanted& wanted, FactSink& sink) {
  for (const auto& [name, value] : ExpectedFacts(wanted)) sink.Fact(name, value);
}

bool Matches(const Wanted& wanted, const Facts& seen) {
  Compare compare(seen);
  TellFacts(wanted, compare);
  return compare.same();
}

Facts ExpectedFacts(const FirewallWanted& wanted) {
  auto facts = FirewallFacts(ExpectedFirewall(wanted));
  if (ChecksSources(wanted)) facts.merge(SpoofFacts(ExpectedSpoof(wanted)));
  return facts;
}
Facts ExpectedFacts(const Wanted& wanted) {
  return std::visit([](const auto& part) { return ExpectedFacts(part); }, wanted);
}
Facts ExpectedFacts(const BridgeWanted& wanted) {
  return Collected(wanted);
}
Facts ExpectedFacts(const DirectoryWanted& wanted) {
  return Collected(wanted);
}
Facts ExpectedFacts(const CgroupWanted& wanted) {
  return Collected(wanted);
}
Facts ExpectedFacts(const NetnsWanted& wanted) {
  return Collected(wanted);
}
Facts ExpectedFacts(const NamesWanted& wanted) {
  return Collected(wanted);
}
Facts ExpectedFacts(const ProcessWanted& wanted) {
  return Collected(wanted);
}

}  // namespace nucleus
