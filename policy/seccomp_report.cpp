#include "policy/seccomp_report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "policy/seccomp_words.hpp"

namespace nucleus::policy {

namespace {

using Out = nlohmann::ordered_json;

std::string ConditionText(const SeccompClause& clause) {
  std::string text;
  for (const SeccompArg& arg : clause.args) text += (text.empty() ? "" : " and ") + ArgText(arg);
  return text;
}

// Clauses in an order of their own: that of the file means nothing.
std::vector<SeccompClause> Sorted(std::vector<SeccompClause> clauses) {
  std::ranges::sort(clauses, {}, [](const SeccompClause& clause) {
    std::string key = VerdictText(clause.verdict);
    return key + "\n" + ConditionText(clause);
  });
  return clauses;
}

const std::vector<SeccompClause>* ClausesOf(const ResolvedSeccomp& profile, std::string_view call) {
  const auto found = profile.calls.find(call);
  return found == profile.calls.end() ? nullptr : &found->second;
}

std::string CallText(const ResolvedSeccomp& profile, std::string_view call) {
  const auto* clauses = ClausesOf(profile, call);
  if (clauses == nullptr) return VerdictText(profile.default_verdict);
  if (clauses->size() == 1 && clauses->front().args.empty()) return VerdictText(clauses->front().verdict);
  std::string text, verdict;
  for (const SeccompClause& clause : Sorted(*clauses)) {
    const std::string now = VerdictText(clause.verdict);
    text += now == verdict ? ", or " : (text.empty() ? "" : "; ") + now + " where ";
    text += ConditionText(clause);
    verdict = now;
  }
  return text + "; else " + VerdictText(profile.default_verdict);
}

bool Permits(const SeccompVerdict& verdict) {
  return verdict.action >= SeccompAction::kLog;
}

// Whether a call does anything, for some arguments at least.
bool MayPass(const ResolvedSeccomp& profile, std::string_view call) {
  const auto* clauses = ClausesOf(profile, call);
  if (clauses == nullptr) return Permits(profile.default_verdict);
  const bool plain = clauses->size() == 1 && clauses->front().args.empty();
  return (!plain && Permits(profile.default_verdict)) ||
         std::ranges::any_of(*clauses, [](const SeccompClause& clause) { return Permits(clause.verdict); });
}

std::string ArchText(const ResolvedSeccomp& profile) {
  std::string text;
  for (const SeccompArch arch : profile.architectures) {
    text += (text.empty() ? "" : " ") + std::string(TextOf(ArchWords(), arch));
  }
  return text;
}

std::string FlagText(const ResolvedSeccomp& profile) {
  std::string text = profile.flag_log ? "log refusals" : "";
  if (profile.flag_spec_allow) text += (text.empty() ? "" : ", ") + std::string("no mitigation of Spectre v4");
  return text.empty() ? "none" : text;
}

std::string Wrapped(const std::vector<std::string_view>& names, std::string_view indent) {
  constexpr std::size_t kWidth = 96;
  std::string text, line;
  for (const std::string_view name : names) {
    if (!line.empty() && line.size() + 1 + name.size() > kWidth) {
      text.append(indent).append(line).append("\n");
      line.clear();
    }
    if (!line.empty()) line += ' ';
    line += name;
  }
  if (!line.empty()) text.append(indent).append(line).append("\n");
  return text;
}

std::string_view KindText(SeccompDifference::Kind kind) {
  switch (kind) {
    case SeccompDifference::Kind::kOnlyFirst:
      return "only_first";
    case SeccompDifference::Kind::kOnlySecond:
      return "only_second";
    case SeccompDifference::Kind::kDiffers:
      return "differs";
  }
  return "";
}

Out VerdictJson(const SeccompVerdict& verdict) {
  Out out{{"action", TextOf(ActionWords(), verdict.action)}};
  if (verdict.action == SeccompAction::kErrno) out["errno"] = verdict.error;
  return out;
}

struct VerdictOrder {
  bool operator()(const SeccompVerdict& a, const SeccompVerdict& b) const {
    return a.action != b.action ? a.action > b.action : a.error < b.error;
  }
};

// The calls without conditions, by what becomes of them.
std::map<SeccompVerdict, std::vector<std::string_view>, VerdictOrder> Plain(const ResolvedSeccomp& profile) {
  std::map<SeccompVerdict, std::vector<std::string_view>, VerdictOrder> plain;
  for (const auto& [name, clauses] : profile.calls) {
    if (clauses.size() == 1 && clauses[0].args.empty()) plain[clauses[0].verdict].push_back(name);
  }
  return plain;
}

}  // namespace

SeccompDiff DiffSeccomp(const ResolvedSeccomp& first, const ResolvedSeccomp& second) {
  SeccompDiff diff;
  const auto general = [&diff](std::string_view what, const std::string& a, const std::string& b) {
    if (a != b) diff.general.push_back(std::string(what) + ": " + a + " -> " + b);
  };
  general("default", VerdictText(first.default_verdict), VerdictText(second.default_verdict));
  general("architectures", ArchText(first), ArchText(second));
  general("flags", FlagText(first), FlagText(second));
  std::set<std::string_view> names;
  for (const auto& [name, clauses] : first.calls) names.insert(name);
  for (const auto& [name, clauses] : second.calls) names.insert(name);
  for (const std::string_view name : names) {
    SeccompDifference one;
    one.call = name;
    one.first = CallText(first, name);
    one.second = CallText(second, name);
    if (one.first == one.second) continue;
    const bool in_first = MayPass(first, name), in_second = MayPass(second, name);
    if (in_first && !in_second) one.kind = SeccompDifference::Kind::kOnlyFirst;
    if (in_second && !in_first) one.kind = SeccompDifference::Kind::kOnlySecond;
    diff.calls.push_back(std::move(one));
  }
  return diff;
}

std::string DiffText(const SeccompDiff& diff) {
  std::string text;
  for (const auto& line : diff.general) text += "~ " + line + "\n";
  for (const auto& call : diff.calls) {
    switch (call.kind) {
      case SeccompDifference::Kind::kOnlyFirst:
        text += "- " + call.call;
        break;
      case SeccompDifference::Kind::kOnlySecond:
        text += "+ " + call.call;
        break;
      case SeccompDifference::Kind::kDiffers:
        text += "~ " + call.call;
        break;
    }
    text += ": " + call.first + " -> " + call.second + "\n";
  }
  return text;
}

std::string DiffJson(const SeccompDiff& diff) {
  Out calls = Out::array();
  for (const auto& call : diff.calls) {
    calls.push_back(
        {{"call", call.call}, {"kind", KindText(call.kind)}, {"first", call.first}, {"second", call.second}});
  }
  const Out out{{"format_version", 1}, {"general", diff.general}, {"calls", calls}};
  return out.dump(2) + "\n";
}

std::string ExplainText(const ResolvedSeccomp& profile) {
  std::string text = "Calls not named here: " + VerdictText(profile.default_verdict) + "\n";
  text += "Architectures: " + ArchText(profile) + "; calls of any other kill the process\n";
  text += "Flags: " + FlagText(profile) + "\n";
  for (const auto& [verdict, names] : Plain(profile)) {
    text += "\n" + VerdictText(verdict) + " (" + std::to_string(names.size()) + "):\n" + Wrapped(names, "  ");
  }
  std::string conditional;
  for (const auto& [name, clauses] : profile.calls) {
    if (clauses.size() == 1 && clauses[0].args.empty()) continue;
    conditional += "  " + name + ": " + CallText(profile, name) + "\n";
  }
  if (!conditional.empty()) text += "\nby their arguments:\n" + conditional;
  return text;
}

std::string ExplainJson(const ResolvedSeccomp& profile) {
  Out arches = Out::array();
  for (const SeccompArch arch : profile.architectures) arches.push_back(TextOf(ArchWords(), arch));
  Out calls = Out::object();
  for (const auto& [name, clauses] : profile.calls) {
    Out list = Out::array();
    for (const SeccompClause& clause : Sorted(clauses)) {
      Out one = VerdictJson(clause.verdict);
      if (!clause.args.empty()) one["where"] = ConditionText(clause);
      list.push_back(std::move(one));
    }
    calls.get_ref<Out::object_t&>().emplace_back(name, std::move(list));  // without a search for each name
  }
  const Out out{{"format_version", 1},     {"default", VerdictJson(profile.default_verdict)}, {"architectures", arches},
                {"log", profile.flag_log}, {"spec_allow", profile.flag_spec_allow},           {"calls", calls}};
  return out.dump(2) + "\n";
}

}  // namespace nucleus::policy
