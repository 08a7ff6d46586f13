#include "cli/policies.hpp"

#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <map>
#include <set>
#include <variant>

#include "actuators/security/landlock_abi.hpp"
#include "actuators/security/security_names.hpp"
#include "actuators/sys/capabilities.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/landlock.hpp"
#include "actuators/sys/syscall_names.hpp"
#include "cli/given_paths.hpp"
#include "cli/rootfs_paths.hpp"
#include "policy/capability_policy.hpp"
#include "policy/landlock_policy.hpp"
#include "policy/seccomp_compile.hpp"
#include "policy/seccomp_default.hpp"
#include "reconcile/wanted.hpp"
#include "spec/reader.hpp"
#include "spec/validate.hpp"
#include "state/parts/seccomp_run.hpp"

namespace nucleus::cli {

namespace {

bool IsProduction(const spec::Service& service) {
  return service.mode == spec::ServiceMode::kProduction;
}

policy::SeccompInputs InputsOf(const spec::Service& service, std::uint64_t capabilities) {
  policy::SeccompInputs inputs = MachineInputs();
  inputs.capabilities = capabilities;
  inputs.allow = service.seccomp_allow;
  return inputs;
}

// The file as it was when the desired state was read.
Result<std::string> ReadPinned(const spec::Service& service, const std::string& path, const std::string& key) {
  auto text = TRY(sys::ReadFile(path));
  const auto digest = service.inputs.find(key);
  if (digest != service.inputs.end() && Sha256::Of(text) == digest->second) return text;
  return Fail(Error::Of(ErrorCode::kStale, "use", path, "it is not the file that was planned with")
                  .Hint("plan again, and look at what has changed in it"));
}

// The first error; warnings are nothing to stop for.
Result<> FirstError(const std::vector<spec::Problem>& problems) {
  for (const auto& problem : problems) {
    if (!problem.warning) return Fail(ErrorCode::kInvalid, "", "", problem.Text());
  }
  return {};
}

// What would make its egress rules void: changing them, and packet sockets, which go beneath them.
Result<> CheckEgress(const spec::Service& service, std::uint64_t kept) {
  constexpr std::uint64_t kVoiding = (1ULL << CAP_NET_ADMIN) | (1ULL << CAP_NET_RAW);
  if (!reconcile::HasEgressRules(service) || (kept & kVoiding) == 0) return {};
  return Fail(Error::Of(ErrorCode::kInvalid, "", service.caps_policy,
                        "CAP_NET_ADMIN and CAP_NET_RAW would void the egress rules of " + service.name)
                  .Hint("keep neither, or leave the egress rules out (agent mode)"));
}

Result<Landlock> CompileLandlock(const spec::Service& service) {
  const std::string text = TRY(ReadPinned(service, service.landlock_policy, "landlock_policy"));
  const auto read = policy::ReadLandlockPolicy(text, service.landlock_policy);
  TRY(FirstError(read.problems));
  if (IsProduction(service)) {
    for (const auto& loss : policy::LandlockLosses(*read.policy, sys::LandlockAbi())) {
      if (!loss.weaker) continue;
      return Fail(ErrorCode::kUnsupported, "enforce", service.landlock_policy, loss.what);
    }
  }
  Landlock landlock = read.policy->ToLandlock(IsProduction(service));
  if (IsProduction(service)) landlock.min_abi = std::max(landlock.min_abi, security::kMinAbiProduction);
  return landlock;
}

class Checker {
 public:
  explicit Checker(const spec::Topology& topology) : topology_(topology) {}

  void Check(const spec::Service& service) {
    const bool production = IsProduction(service);
    const std::uint64_t kept = Kept(service, production);
    if (const auto checked = CheckEgress(service, kept); !checked) {
      problems_.push_back(
          {.file = service.caps_policy, .message = checked.error().cause + "; " + checked.error().hint});
    }
    if (const auto& rules = LandlockOf(service, production); rules && !service.rootfs.empty()) Missing(service, *rules);
    if (DeniesExecve(service, kept)) TellShells(service);
    if (service.seccomp_profile.empty() && !service.seccomp_allow.empty()) AddToDefault(service, production);
  }
  std::vector<spec::Problem> Take() { return std::move(problems_); }

 private:
  // None: there is none, or the same was looked at already.
  std::optional<std::string> TextOf(const std::string& path, const std::string& how) {
    if (path.empty() || !seen_.emplace(path, how).second) return std::nullopt;
    auto text = sys::ReadFile(path);
    if (!text) problems_.push_back({.file = path, .message = text.error().Message()});
    return text ? std::optional(std::move(*text)) : std::nullopt;
  }
  void Add(const std::vector<spec::Problem>& problems) {
    problems_.insert(problems_.end(), problems.begin(), problems.end());
  }
  // Capabilities that it may have.
  std::uint64_t Kept(const spec::Service& service, bool production) {
    const auto [known, is_new] = kept_.try_emplace({service.caps_policy, production ? "production" : ""}, 0);
    const auto text = is_new ? TextOf(service.caps_policy, production ? "production caps" : "caps") : std::nullopt;
    if (!text) return known->second;
    const auto read = policy::ReadCapabilityPolicy(*text, service.caps_policy, production);
    Add(read.problems);
    if (read.sets) known->second = read.sets->bounding;
    return known->second;
  }
  // What the default policy refuses for a reason is let through by a word in agent mode, which is told; in production
  // it is not: a profile has a digest, and says all of it.
  void AddToDefault(const spec::Service& service, bool production) {
    const spec::Place place = spec::PlaceOf(service, "seccomp_allow");
    const auto inputs = InputsOf(service, 0);
    for (const auto& problem : policy::CheckSyscallNames(policy::DefaultSeccompProfile(), inputs))
      if (!problem.warning) problems_.push_back(problem);
    for (const auto& reason : policy::WhyRefusedByDefault(service.seccomp_allow)) {
      auto problem = ProblemAt(
          topology_, place,
          production
              ? "seccomp_allow: production refuses what the default policy refuses, " + reason +
                    "; to allow it, write a seccomp_profile: `nucleus seccomp generate --default` prints what to "
                    "begin with"
              : "seccomp_allow: lets through what the default policy refuses, " + reason);
      problem.warning = !production;
      problems_.push_back(std::move(problem));
    }
  }
  // Its profile: what is executed first passes all the same, and executes nothing.
  bool DeniesExecve(const spec::Service& service, std::uint64_t kept) {
    std::string inputs = "seccomp " + std::to_string(kept);
    for (const auto& name : service.seccomp_allow) inputs += " " + name;
    const auto [known, is_new] = denies_execve_.try_emplace({service.seccomp_profile, inputs}, false);
    const auto text = is_new ? TextOf(service.seccomp_profile, inputs) : std::nullopt;
    if (!text) return known->second;
    const auto built = policy::BuildSeccomp(*text, service.seccomp_profile, InputsOf(service, kept), "");
    Add(built.problems);
    seccomp_data call{};
    call.nr = SYS_execve;
    call.arch = sys::kNativeArchitecture;
    const auto verdict =
        built.program ? RunSeccomp(*built.program, call).value_or(SECCOMP_RET_ALLOW) : SECCOMP_RET_ALLOW;
    const auto action = verdict & SECCOMP_RET_ACTION_FULL;
    known->second = action != SECCOMP_RET_ALLOW && action != SECCOMP_RET_LOG;
    return known->second;
  }
  void TellShells(const spec::Service& service) {
    const auto* probe = service.health ? std::get_if<spec::CommandProbe>(&service.health->probe) : nullptr;
    for (const auto& [argv, key] : {std::pair(probe != nullptr ? &probe->argv : nullptr, "health_check"),
                                    std::pair(&service.readiness_exec, "readiness_exec")}) {
      const bool shell = argv != nullptr && argv->size() > 1 && argv->front() == "/bin/sh" && (*argv)[1] == "-c";
      if (!shell) continue;
      auto problem = ProblemAt(topology_, spec::PlaceOf(service, key),
                               std::string(key) +
                                   ": the shell can execute no program, for the seccomp profile denies "
                                   "execve; a list of arguments is executed itself, in a file");
      problem.warning = true;
      problems_.push_back(std::move(problem));
    }
  }
  // What it says is told once, whoever has it.
  const std::optional<policy::LandlockPolicy>& LandlockOf(const spec::Service& service, bool production) {
    const std::string how = production ? "production landlock" : "landlock";
    const auto [known, is_new] = landlock_.try_emplace({service.landlock_policy, how});
    const auto text = is_new ? TextOf(service.landlock_policy, how) : std::nullopt;
    if (!text) return known->second;
    auto read = policy::ReadLandlockPolicy(*text, service.landlock_policy);
    Add(read.problems);
    if (read.policy) Losses(service, *read.policy);
    known->second = std::move(read.policy);
    return known->second;
  }
  // What is in the way of its start already now: a rule for what its root file system does not have, or of rights that
  // mean nothing of what it has there.
  void Missing(const spec::Service& service, const policy::LandlockPolicy& policy) {
    for (const auto& rule : policy.rules) {
      const std::string why = Hindrance(service, rule);
      if (why.empty()) continue;
      problems_.push_back({.file = service.landlock_policy,
                           .line = rule.place.line,
                           .column = rule.place.column,
                           .message = "rule for '" + spec::Shown(rule.path) + "': " + why});
    }
  }
  static std::string Hindrance(const spec::Service& service, const policy::LandlockPathRule& rule) {
    if (!MayBeThere(service, rule.path)) return service.name + " has no such path in its rootfs";
    const auto type = TypeInRootfs(service, rule.path);
    if (!type || (rule.access & sys::LandlockRightsOf(*type)) != 0) return "";
    return sys::LandlockAllowsNothing("in the rootfs of " + service.name, rule.access);
  }
  void Losses(const spec::Service& service, const policy::LandlockPolicy& policy) {
    for (const auto& loss : policy::LandlockLosses(policy, sys::LandlockAbi())) {
      problems_.push_back(
          {.file = service.landlock_policy, .message = loss.what, .warning = !IsProduction(service) || !loss.weaker});
    }
  }

  const spec::Topology& topology_;
  using Looked = std::pair<std::string, std::string>;  // a file, and for what
  std::set<Looked> seen_;
  std::map<Looked, std::uint64_t> kept_;
  std::map<Looked, bool> denies_execve_;
  std::map<Looked, std::optional<policy::LandlockPolicy>> landlock_;
  std::vector<spec::Problem> problems_;
};

}  // namespace

policy::SeccompInputs MachineInputs() {
  policy::SeccompInputs inputs;
  utsname name{};
  if (::uname(&name) == 0) inputs.kernel = policy::ParseKernelVersion(name.release).value_or(inputs.kernel);
  return inputs;
}

std::string PlaceOfLandlockRule(const std::string& policy, const std::string& path) {
  const auto text = sys::ReadFile(policy);
  if (!text) return "";
  const auto read = policy::ReadLandlockPolicy(*text, policy);
  if (!read.policy) return "";
  const auto rule = std::ranges::find(read.policy->rules, path, &policy::LandlockPathRule::path);
  if (rule == read.policy->rules.end()) return "";
  return policy + ":" + std::to_string(rule->place.line) + ":" + std::to_string(rule->place.column);
}

std::vector<spec::Problem> CheckPolicies(const spec::Topology& topology) {
  Checker checker(topology);
  for (const auto& [name, service] : topology.services) checker.Check(service);
  return checker.Take();
}

Result<CapabilitySets> CompileCapabilities(const spec::Service& service) {
  const std::string text = TRY(ReadPinned(service, service.caps_policy, "caps_policy"));
  const auto read = policy::ReadCapabilityPolicy(text, service.caps_policy, IsProduction(service));
  TRY(FirstError(read.problems));
  TRY(CheckEgress(service, read.sets->bounding));
  return *read.sets;
}

Result<> CheckHeldByUs(const spec::Service& service, const CapabilitySets& sets) {
  const std::uint64_t permitted = TRY(sys::ReadOwnCapabilities()).permitted;
  const std::uint64_t lacking = (sets.permitted & ~permitted) | (sets.inheritable & ~sys::ReadOwnBounding());
  if (lacking == 0) return {};
  std::string names;
  for (const auto& name : security::CapabilityNames(lacking)) names += (names.empty() ? "CAP_" : ", CAP_") + name;
  std::string why = "whoever starts nucleus does not have " + std::string(std::has_single_bit(lacking) ? "it" : "them");
  const auto text = sys::ReadFile(service.caps_policy);
  const auto read = policy::ReadCapabilityPolicy(text.value_or(""), service.caps_policy, IsProduction(service));
  const auto kept = std::ranges::find_if(read.kept, [&](const auto& one) { return (one.first & lacking) != 0; });
  if (kept != read.kept.end())
    why += " (" + service.caps_policy + ":" + std::to_string(kept->second.line) + ":" +
           std::to_string(kept->second.column) + ")";
  return Fail(Error::Of(ErrorCode::kPermission, "keep", names, why).In("caps_policy"));
}

Result<Policies> CompilePolicies(const spec::Service& service, const std::string& cache) {
  Policies policies;
  if (!service.caps_policy.empty()) policies.capabilities = TRY(CompileCapabilities(service));
  if (!service.landlock_policy.empty()) policies.landlock = TRY(CompileLandlock(service));
  const bool own = !service.seccomp_profile.empty();
  if (own || !service.seccomp_allow.empty()) {
    const std::string text = own ? TRY(ReadPinned(service, service.seccomp_profile, "seccomp_profile"))
                                 : policy::SeccompProfileJson(policy::DefaultSeccompProfile());
    const std::string_view file = own ? std::string_view(service.seccomp_profile) : policy::kDefaultProfileName;
    TRY(sys::MakeDirectories(cache, 0700));
    const std::uint64_t kept = policies.capabilities ? policies.capabilities->bounding : 0;
    auto built = policy::BuildSeccomp(text, file, InputsOf(service, kept), cache);
    TRY(FirstError(built.problems));
    policies.seccomp = std::move(*built.program);
    if (built.flag_log) policies.seccomp_flags |= SECCOMP_FILTER_FLAG_LOG;
    if (built.flag_spec_allow) policies.seccomp_flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  }
  return policies;
}

}  // namespace nucleus::cli
