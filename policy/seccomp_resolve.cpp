#include "policy/seccomp_resolve.hpp"

#include <algorithm>
#include <array>

#include "policy/seccomp_words.hpp"

namespace nucleus::policy {

namespace {

// ---- arguments ----

struct Range {
  std::uint64_t first = 0, last = UINT64_MAX;
};

// What an operator lets through as one range; not for != and masks.
std::optional<Range> RangeOf(const SeccompArg& arg) {
  switch (arg.op) {
    case SeccompOp::kEqual:
      return Range{arg.value, arg.value};
    case SeccompOp::kLess:
      return Range{0, arg.value - 1};  // 0 was refused when it was read
    case SeccompOp::kLessOrEqual:
      return Range{0, arg.value};
    case SeccompOp::kGreater:
      return Range{arg.value + 1, UINT64_MAX};
    case SeccompOp::kGreaterOrEqual:
      return Range{arg.value, UINT64_MAX};
    case SeccompOp::kNotEqual:
    case SeccompOp::kMaskedEqual:
      return std::nullopt;
  }
  return std::nullopt;
}

// Whether no value can satisfy both. "false" where that is not plain to see.
bool Disjoint(const SeccompArg& a, const SeccompArg& b) {
  if (a.op == SeccompOp::kMaskedEqual && b.op == SeccompOp::kMaskedEqual) {
    const std::uint64_t common = a.value & b.value;
    return (a.value_two & common) != (b.value_two & common);
  }
  const auto one = RangeOf(a), other = RangeOf(b);
  if (one && one->first == one->last) return !b.Holds(one->first);
  if (other && other->first == other->last) return !a.Holds(other->first);
  if (one && other) return one->last < other->first || other->last < one->first;
  return false;
}

bool Disjoint(const SeccompClause& a, const SeccompClause& b) {
  return std::ranges::any_of(a.args, [&b](const SeccompArg& one) {
    return std::ranges::any_of(
        b.args, [&one](const SeccompArg& other) { return one.index == other.index && Disjoint(one, other); });
  });
}

// Arguments of which the kernel looks at the low 32 bits only, where a profile looks at 64 (CVE-2019-7303).
struct NarrowArgument {
  std::string_view call;
  std::uint32_t index;
};
constexpr NarrowArgument kNarrow[] = {
    {"socket", 0},     {"socket", 1}, {"socket", 2}, {"socketpair", 0}, {"socketpair", 1},  {"socketpair", 2},
    {"ioctl", 0},      {"ioctl", 1},  {"prctl", 0},  {"fcntl", 1},      {"personality", 0}, {"setns", 1},
    {"keyctl", 0},     {"clone", 0},  {"kill", 1},   {"setsockopt", 1}, {"setsockopt", 2},  {"getsockopt", 1},
    {"getsockopt", 2}, {"bpf", 0},    {"ptrace", 0},
};

// Whether setting high bits, which the kernel does not see, gets a call out of a stricter verdict.
bool Evadable(const SeccompArg& arg, bool permissive) {
  switch (arg.op) {
    case SeccompOp::kNotEqual:
    case SeccompOp::kGreater:
    case SeccompOp::kGreaterOrEqual:
      return permissive;
    case SeccompOp::kEqual:
    case SeccompOp::kLess:
    case SeccompOp::kLessOrEqual:
      return !permissive;
    case SeccompOp::kMaskedEqual:
      return !permissive && (arg.value >> 32) != 0;
  }
  return false;
}

// ---- gathering ----

struct Found {
  SeccompClause clause;
  const SeccompRule* rule = nullptr;
};

class Resolver {
 public:
  Resolver(const SeccompProfile& profile, const SeccompInputs& inputs) : profile_(profile), inputs_(inputs) {}

  SeccompResolution Run() {
    ResolvedSeccomp resolved;
    resolved.default_verdict = profile_.default_verdict;
    resolved.flag_log = profile_.flag_log;
    resolved.flag_spec_allow = profile_.flag_spec_allow;
    resolved.architectures = Architectures();
    for (const SeccompRule& rule : profile_.rules) {
      if (Applies(rule)) Gather(rule);
    }
    for (const auto& name : inputs_.allow) {
      found_[name] = {{{{}, {SeccompAction::kAllow, 0}}, nullptr}};
    }
    for (auto& [name, found] : found_) resolved.calls[name] = Settle(name, found);
    SeccompResolution out;
    out.problems = std::move(problems_);
    if (!failed_) out.profile = std::move(resolved);
    return out;
  }

 private:
  static constexpr std::size_t kMostProblems = 1000;

  void Report(spec::Place place, std::string message, bool warning) {
    failed_ = failed_ || !warning;
    if (problems_.size() >= kMostProblems) return;
    problems_.push_back({profile_.file, place.line, place.column, std::move(message), warning});
  }

  std::vector<SeccompArch> Architectures() {
    std::vector<SeccompArch> named = profile_.architectures;
    for (const auto& map : profile_.arch_map) {
      if (map.architecture != inputs_.native) continue;
      named.push_back(map.architecture);
      named.insert(named.end(), map.sub_architectures.begin(), map.sub_architectures.end());
    }
    if (profile_.architectures.empty() && profile_.arch_map.empty()) named = {inputs_.native};
    if (std::ranges::find(named, inputs_.native) == named.end()) {
      Report({0, 1, 1},
             "the profile does not name this machine's architecture, " +
                 std::string(TextOf(ArchWords(), inputs_.native)) + ": every call would be killed",
             false);
    }
    std::vector<SeccompArch> out{inputs_.native};
    // Those of other machines cannot occur here.
    for (const SeccompArch arch : {SeccompArch::kX32, SeccompArch::kX86, SeccompArch::kArm}) {
      const bool possible =
          inputs_.native == (arch == SeccompArch::kArm ? SeccompArch::kAarch64 : SeccompArch::kX86_64);
      if (possible && std::ranges::find(named, arch) != named.end()) out.push_back(arch);
    }
    return out;
  }

  [[nodiscard]] bool Applies(const SeccompRule& rule) const {
    const auto has = [this](const std::vector<SeccompArch>& arches) {
      return std::ranges::find(arches, inputs_.native) != arches.end();
    };
    const SeccompScope& in = rule.includes;
    const SeccompScope& out = rule.excludes;
    if ((in.capabilities & ~inputs_.capabilities) != 0) return false;
    if (!in.arches.empty() && !has(in.arches)) return false;
    if (in.kernel && inputs_.kernel < *in.kernel) return false;
    if ((out.capabilities & inputs_.capabilities) != 0) return false;
    if (has(out.arches)) return false;
    return !(out.kernel && inputs_.kernel >= *out.kernel);
  }

  void Gather(const SeccompRule& rule) {
    std::vector<SeccompClause> clauses;
    std::array<int, 6> seen{};
    bool repeated = false;
    for (const SeccompArg& arg : rule.args) repeated = ++seen[arg.index] > 1 || repeated;
    if (repeated) {
      for (const SeccompArg& arg : rule.args) clauses.push_back({{arg}, rule.verdict});
    } else {
      clauses.push_back({rule.args, rule.verdict});
      std::ranges::sort(clauses.back().args, {}, &SeccompArg::index);
    }
    for (const SyscallName& name : rule.names) {
      for (const SeccompClause& clause : clauses) found_[name.text].push_back({clause, &rule});
    }
  }

  static std::string Where(const Found& found) {
    return (found.rule == nullptr ? "--seccomp-allow" : found.rule->path) + " (" + VerdictText(found.clause.verdict) +
           ")";
  }

  std::vector<SeccompClause> Settle(const std::string& name, std::vector<Found>& found) {
    constexpr std::size_t kMostClauses = 128;  // comparing them costs their square
    if (found.size() > kMostClauses) {
      Report(found.front().rule->place, name + ": more than 128 rules", false);
      return {};
    }
    const Found* plain = nullptr;
    for (const Found& one : found) {
      if (!one.clause.args.empty()) continue;
      if (plain == nullptr) {
        plain = &one;
      } else if (plain->clause.verdict != one.clause.verdict) {
        const Found* stricter = one.clause.verdict.StricterThan(plain->clause.verdict) ? &one : plain;
        Report(one.rule->place,
               name + ": " + Where(*plain) + " and " + Where(one) +
                   " contradict each other; the stricter one holds: " + VerdictText(stricter->clause.verdict),
               true);
        plain = stricter;
      }
    }
    std::vector<SeccompClause> clauses;
    for (const Found& one : found) {
      if (one.clause.args.empty()) continue;
      WarnNarrow(name, one);
      if (plain != nullptr) {
        if (plain->clause.verdict != one.clause.verdict) Overlap(name, *plain, one);
        continue;  // the rule without conditions says it
      }
      if (std::ranges::find(clauses, one.clause) == clauses.end()) clauses.push_back(one.clause);
    }
    if (plain != nullptr) return {plain->clause};
    for (std::size_t i = 0; i < found.size(); ++i) {
      for (std::size_t j = i + 1; j < found.size(); ++j) {
        const auto& a = found[i].clause;
        const auto& b = found[j].clause;
        if (a.verdict != b.verdict && !Disjoint(a, b)) Overlap(name, found[i], found[j]);
      }
    }
    return clauses;
  }

  void Overlap(const std::string& name, const Found& a, const Found& b) {
    failed_ = true;
    if (problems_.size() >= kMostProblems) return;
    Report(b.rule->place,
           name + ": " + Where(a) + " and " + Where(b) +
               " can both hold, and rules have no order; add conditions so that only one does",
           false);
  }

  void WarnNarrow(const std::string& name, const Found& found) {
    if (found.rule == nullptr || found.clause.verdict == profile_.default_verdict) return;
    const bool permissive = profile_.default_verdict.StricterThan(found.clause.verdict);
    for (const SeccompArg& arg : found.clause.args) {
      const bool narrow = std::ranges::any_of(
          kNarrow, [&](const NarrowArgument& one) { return one.call == name && one.index == arg.index; });
      if (!narrow || !Evadable(arg, permissive)) continue;
      Report(found.rule->place,
             found.rule->path + ": " + name + ", " + ArgText(arg) +
                 ": 64 bits are compared, but the kernel looks at 32, so setting a high bit evades this; "
                 "SCMP_CMP_MASKED_EQ with mask 0xffffffff does not have this gap",
             true);
    }
  }

  const SeccompProfile& profile_;
  const SeccompInputs& inputs_;
  std::map<std::string, std::vector<Found>> found_;
  std::vector<spec::Problem> problems_;
  bool failed_ = false;
};

}  // namespace

SeccompVerdict ResolvedSeccomp::VerdictOf(std::string_view call, const std::array<std::uint64_t, 6>& args) const {
  const auto found = calls.find(call);
  if (found == calls.end()) return default_verdict;
  for (const SeccompClause& clause : found->second) {
    if (std::ranges::all_of(clause.args, [&args](const SeccompArg& arg) { return arg.Holds(args[arg.index]); })) {
      return clause.verdict;
    }
  }
  return default_verdict;
}

SeccompResolution ResolveSeccomp(const SeccompProfile& profile, const SeccompInputs& inputs) {
  return Resolver(profile, inputs).Run();
}

}  // namespace nucleus::policy
