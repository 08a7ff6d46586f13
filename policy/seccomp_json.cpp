// Writing of profiles; apart from reading, which has enough to do.
#include <nlohmann/json.hpp>

#include "actuators/security/security_names.hpp"
#include "policy/seccomp_profile.hpp"
#include "policy/seccomp_words.hpp"

namespace nucleus::policy {

namespace {

using Out = nlohmann::ordered_json;

Out ArchList(const std::vector<SeccompArch>& arches, std::span<const Word<SeccompArch>> words) {
  Out list = Out::array();
  for (const SeccompArch arch : arches) list.push_back(TextOf(words, arch));
  return list;
}

Out ScopeJson(const SeccompScope& scope) {
  Out out = Out::object();
  if (scope.capabilities != 0) {
    out["caps"] = Out::array();
    for (const auto& name : security::CapabilityNames(scope.capabilities)) out["caps"].push_back("CAP_" + name);
  }
  if (!scope.arches.empty()) out["arches"] = ArchList(scope.arches, ShortArchWords());
  if (scope.kernel) out["minKernel"] = std::to_string(scope.kernel->major) + "." + std::to_string(scope.kernel->minor);
  return out;
}

Out RuleJson(const SeccompRule& rule) {
  Out out;
  out["names"] = Out::array();
  for (const auto& name : rule.names) out["names"].push_back(name.text);
  out["action"] = TextOf(ActionWords(), rule.verdict.action);
  if (rule.verdict.action == SeccompAction::kErrno) out["errnoRet"] = rule.verdict.error;
  if (!rule.args.empty()) {
    out["args"] = Out::array();
    for (const SeccompArg& arg : rule.args) {
      Out one{{"index", arg.index}, {"value", arg.value}};
      if (arg.op == SeccompOp::kMaskedEqual) one["valueTwo"] = arg.value_two;
      one["op"] = TextOf(OperatorWords(), arg.op);
      out["args"].push_back(std::move(one));
    }
  }
  if (rule.includes != SeccompScope{}) out["includes"] = ScopeJson(rule.includes);
  if (rule.excludes != SeccompScope{}) out["excludes"] = ScopeJson(rule.excludes);
  return out;
}

}  // namespace

std::string SeccompProfileJson(const SeccompProfile& profile) {
  Out out;
  out["defaultAction"] = TextOf(ActionWords(), profile.default_verdict.action);
  if (profile.default_verdict.action == SeccompAction::kErrno) out["defaultErrnoRet"] = profile.default_verdict.error;
  if (!profile.architectures.empty()) out["architectures"] = ArchList(profile.architectures, ArchWords());
  if (!profile.arch_map.empty()) {
    out["archMap"] = Out::array();
    for (const auto& map : profile.arch_map) {
      out["archMap"].push_back({{"architecture", TextOf(ArchWords(), map.architecture)},
                                {"subArchitectures", ArchList(map.sub_architectures, ArchWords())}});
    }
  }
  if (profile.flag_log || profile.flag_spec_allow) {
    out["flags"] = Out::array();
    if (profile.flag_log) out["flags"].push_back("SECCOMP_FILTER_FLAG_LOG");
    if (profile.flag_spec_allow) out["flags"].push_back("SECCOMP_FILTER_FLAG_SPEC_ALLOW");
  }
  out["syscalls"] = Out::array();
  for (const auto& rule : profile.rules) out["syscalls"].push_back(RuleJson(rule));
  return out.dump(2, ' ', false, Out::error_handler_t::replace) + "\n";
}

}  // namespace nucleus::policy
