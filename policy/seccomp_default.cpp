#include "policy/seccomp_default.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <set>

#include "actuators/security/syscall_policy.hpp"

namespace nucleus::policy {

namespace {

using security::PolicyCondition;
using security::Treatment;

SeccompVerdict VerdictOf(Treatment treatment) {
  switch (treatment) {
    case Treatment::kAllow:
      return {SeccompAction::kAllow, 0};
    case Treatment::kPermission:
      return {SeccompAction::kErrno, EPERM};
    case Treatment::kMissing:
      return {SeccompAction::kErrno, ENOSYS};
    case Treatment::kKill:
    case Treatment::kArguments:
      return {SeccompAction::kKillProcess, 0};
  }
  return {SeccompAction::kKillProcess, 0};
}

SeccompVerdict VerdictOf(const PolicyCondition& condition) {
  if (condition.error == 0) return {SeccompAction::kAllow, 0};
  return {SeccompAction::kErrno, static_cast<std::uint16_t>(condition.error)};
}

std::vector<std::string_view> Words(std::string_view text) {
  std::vector<std::string_view> words;
  while (!text.empty()) {
    const auto word = text.substr(0, text.find(' '));
    if (!word.empty()) words.push_back(word);
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return words;
}

// Some of the 32 bits have to be as they are in `value`.
struct Bits {
  std::uint32_t mask = 0, value = 0;
};

SeccompArg Argument(std::uint32_t index, const Bits& bits) {
  return {index, SeccompOp::kMaskedEqual, bits.mask, bits.value};
}

// Whether some value is in both.
bool Meet(const Bits& a, const Bits& b) {
  return ((a.value ^ b.value) & a.mask & b.mask) == 0;
}

// What is in none of `taken`, as pieces that do not meet. Where one of them has a say in less than the whole piece it
// is cut in two: at a bit that all of them want alike, where there is one, for then nothing of one half is taken.
void Rest(const Bits& piece, std::span<const Bits> taken, std::vector<Bits>& out) {
  std::uint32_t any = 0, all = ~piece.mask, differing = 0;
  const Bits* first = nullptr;
  for (const Bits& one : taken) {
    if (!Meet(piece, one)) continue;
    const std::uint32_t open = one.mask & ~piece.mask;
    if (open == 0) return;  // all of it is taken
    if (first == nullptr) first = &one;
    any |= open;
    all &= open;
    differing |= one.value ^ first->value;
  }
  if (first == nullptr) return out.push_back(piece);
  const std::uint32_t alike = all & ~differing;
  const std::uint32_t bit = std::bit_floor(alike != 0 ? alike : any);
  Rest({piece.mask | bit, piece.value}, taken, out);
  Rest({piece.mask | bit, piece.value | bit}, taken, out);
}

std::vector<Bits> RestOf(std::span<const Bits> taken) {
  std::vector<Bits> rest;
  Rest({}, taken, rest);
  return rest;
}

// The conditions of one call, of which the first that holds decides. All look at one argument; those that look at
// another too are of a value that one behind them takes whole.
class CallRules {
 public:
  CallRules(std::string_view call, std::vector<SeccompRule>& rules) : call_(call), rules_(rules) {}

  void Add(const PolicyCondition& condition) {
    if (condition.mask == 0) {
      for (const Bits& bits : RestOf(taken_)) Put(VerdictOf(condition), {Argument(index_, bits)});
      return;
    }
    index_ = condition.argument;
    const Bits bits{condition.mask, condition.value};
    if (condition.mask2 != 0) {
      const Bits second{condition.mask2, condition.value2};
      narrowed_.push_back({bits, condition.argument2, second});
      return Put(VerdictOf(condition), {Argument(index_, bits), Argument(condition.argument2, second)});
    }
    const auto before = std::ranges::find_if(narrowed_, [&](const Narrowed& one) { return Meet(one.bits, bits); });
    if (before == narrowed_.end()) {
      Put(VerdictOf(condition), {Argument(index_, bits)});
    } else {
      for (const Bits& rest : RestOf(std::span(&before->second, 1)))
        Put(VerdictOf(condition), {Argument(index_, bits), Argument(before->index, rest)});
    }
    taken_.push_back(bits);
  }

 private:
  struct Narrowed {
    Bits bits;
    std::uint32_t index;
    Bits second;
  };

  void Put(const SeccompVerdict& verdict, std::vector<SeccompArg> args) {
    SeccompRule rule;
    rule.names.push_back({.text = std::string(call_), .place = {}});
    rule.verdict = verdict;
    rule.args = std::move(args);
    rules_.push_back(std::move(rule));
  }

  std::string_view call_;
  std::vector<SeccompRule>& rules_;
  std::uint32_t index_ = 0;
  std::vector<Bits> taken_;
  std::vector<Narrowed> narrowed_;
};

}  // namespace

SeccompProfile DefaultSeccompProfile() {
  SeccompProfile profile;
  profile.default_verdict = VerdictOf(Treatment::kMissing);
  for (const auto& row : security::PolicyRows()) {
    const SeccompVerdict verdict = VerdictOf(row.treatment);
    if (row.treatment == Treatment::kArguments || verdict == profile.default_verdict) continue;
    const auto same = std::ranges::find(profile.rules, verdict, &SeccompRule::verdict);
    SeccompRule& rule = same != profile.rules.end() ? *same : profile.rules.emplace_back();
    rule.verdict = verdict;
    for (const auto word : Words(row.calls)) rule.names.push_back({.text = std::string(word), .place = {}});
  }
  for (auto& rule : profile.rules) std::ranges::sort(rule.names, {}, &SyscallName::text);
  const auto conditions = security::PolicyConditions();
  for (std::size_t i = 0; i < conditions.size();) {
    CallRules call(conditions[i].call, profile.rules);
    const std::size_t first = i;
    for (; i < conditions.size() && conditions[i].call == conditions[first].call; ++i) call.Add(conditions[i]);
  }
  return profile;
}

std::vector<std::string> WhyRefusedByDefault(std::span<const std::string> names) {
  std::vector<std::string> reasons;
  const std::set<std::string_view> asked(names.begin(), names.end());
  for (const auto& row : security::PolicyRows()) {
    if (row.treatment == Treatment::kAllow) continue;
    for (const auto word : Words(row.calls)) {
      if (!asked.contains(word)) continue;
      const bool some = row.treatment == Treatment::kArguments;
      reasons.push_back(std::string(word) + ": " +
                        (some ? "some of its arguments are refused" : std::string(row.reason)));
    }
  }
  return reasons;
}

}  // namespace nucleus::policy
