#include "cli/start_checks.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "actuators/mounts/denied_places.hpp"
#include "actuators/process/hold.hpp"
#include "actuators/security/compile.hpp"
#include "actuators/sys/file.hpp"
#include "attest/verify.hpp"
#include "cli/given_paths.hpp"
#include "cli/inside_checks.hpp"
#include "cli/launch_inputs.hpp"
#include "cli/machine_checks.hpp"
#include "cli/policies.hpp"
#include "spec/core/paths.hpp"
#include "spec/flags.hpp"
#include "spec/keys.hpp"
#include "spec/validate.hpp"

namespace nucleus::cli {

namespace {

using reconcile::Action;

// ---- errors and their keys ----

struct Blamed {
  std::string key, item;  // "volumes", "/data"
};
std::optional<Blamed> BlamedIn(const Error& error) {
  for (const auto& where : error.trail) {
    const auto blank = where.find(' ');
    const std::string key = where.substr(0, blank);
    if (spec::FindKey(spec::Scope::kService, key) == nullptr) continue;
    return Blamed{key, blank == std::string::npos ? "" : where.substr(blank + 1)};
  }
  return std::nullopt;
}

std::string Told(std::string_view key, const Blamed& blamed, const Error& error) {
  Error alone = error;
  alone.trail.clear();
  return std::string(key) + (blamed.item.empty() ? "" : " " + blamed.item) + ": " + alone.Message();
}

std::string WithHint(std::string text, const std::string& hint) {
  return hint.empty() ? text : std::move(text) + "; " + hint;
}

spec::Problem ProblemOf(const spec::Topology& topology, const spec::Service& service, const Error& error) {
  const auto blamed = BlamedIn(error);
  const auto place = blamed ? spec::PlaceOfItem(service, blamed->key, blamed->item) : spec::PlaceOf(service, "");
  const std::string what = blamed ? Told(blamed->key, *blamed, error) : error.Message();
  return ProblemAt(topology, place, WithHint(service.name + ": " + what, error.hint));
}

// ---- what comes first ----

using Starts = std::map<std::string, const ProcessWanted*, std::less<>>;  // by service

// What a step starts; null: nobody.
const ProcessWanted* StartOf(const reconcile::Step& step) {
  if (step.key.part != Part::kProcess || step.verb != reconcile::Verb::kApply || !step.wanted) return nullptr;
  if (step.action != Action::kCreate && step.action != Action::kRestart && step.action != Action::kReplace)
    return nullptr;
  const auto* wanted = std::get_if<ProcessWanted>(step.wanted.get());
  return wanted != nullptr && wanted->service ? wanted : nullptr;
}

Starts StartsOf(const reconcile::Plan& plan) {
  Starts starts;
  for (const auto& step : plan.steps)
    if (const auto* wanted = StartOf(step)) starts[step.key.address.name] = wanted;
  return starts;
}

// The volumes that a plan makes, by name.
std::set<std::string> VolumesMadeBy(const reconcile::Plan& plan) {
  std::set<std::string> made;
  for (const auto& step : plan.steps) {
    const bool makes = step.action == Action::kCreate || step.action == Action::kReplace;
    if (step.key.address.kind == Kind::kVolume && makes) made.insert(step.key.address.name);
  }
  return made;
}

// What may not be seen may run.
bool Runs(const Observations& seen, const PartKey& process) {
  const auto found = seen.find(process);
  if (found == seen.end() || found->second.presence == Presence::kAbsent) return false;
  const auto state = found->second.facts.find("state");
  return state == found->second.facts.end() || (state->second != "exited" && state->second != "failed");
}

// Who runs, is stopped by the plan, and would not come back where one does not start: itself, or one that waits for it.
std::vector<std::string> StoppedBy(const reconcile::Plan& plan, const Observations& seen, std::string_view service) {
  std::vector<std::string> stopped;
  std::vector<bool> fails(plan.steps.size());
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const auto& step = plan.steps[i];
    const bool starts = StartOf(step) != nullptr;
    fails[i] = (starts && step.key.address.name == service) ||
               std::ranges::any_of(step.after, [&](std::uint32_t before) { return fails[before]; });
    if (fails[i] && starts && Runs(seen, step.key)) stopped.push_back(step.key.address.name);
  }
  return stopped;
}

// Who it is needs neither names to be looked up nor the caller.
bool IsOfNumbers(const spec::Service& service) {
  const auto number = [](const std::string& text) { return text.find_first_not_of("0123456789") == text.npos; };
  if (service.userns == spec::UserMap::kKeepId && service.user.user.empty()) return false;
  return number(service.user.user) && number(service.user.group) &&
         std::ranges::all_of(service.additional_groups, number);
}

// Whether a service may make what is at a path of the machine.
bool Writes(const ProcessWanted& wanted, std::string_view path) {
  if (wanted.service->hooks != spec::Hooks{}) return true;  // programs of the machine
  return std::ranges::any_of(wanted.service->volumes, [&](const spec::VolumeMount& mount) {
    const auto named = wanted.volume_paths.find(mount.volume);
    return !mount.read_only && Nested(path, named == wanted.volume_paths.end() ? mount.source : named->second);
  });
}

// Where nobody would be stopped its own step fails, and the others start.
void SayWhoIsStopped(spec::Problem& problem, const std::string& service, const std::vector<std::string>& stopped) {
  problem.warning = stopped.empty();
  std::string others;
  for (const auto& name : stopped)
    if (name != service) others += (others.empty() ? "" : ", ") + name;
  if (!others.empty()) problem.message += "; who runs and waits for it would be stopped: " + others;
}

// ---- one start ----

class StartChecker {
 public:
  // asking: none where they may be meant for another machine.
  StartChecker(const spec::Topology& topology, const Starts& starts, const Directories& directories,
               std::optional<Asking> asking, std::set<std::string> made = {})
      : topology_(topology), starts_(starts), directories_(directories), asking_(asking), made_(std::move(made)) {}

  void Check(const ProcessWanted& wanted) {
    const spec::Service& service = *wanted.service;
    root_comes_ = !service.rootfs.empty() && Comes(service, service.rootfs);
    CheckItsKernel(service);
    if (asking_) {
      const auto credentials = CredentialsOf(service);
      if (!credentials) Report(service, credentials.error(), asking_ == Asking::kLooker);
    }
    if (AsStarter()) Tell(service, CheckSecrets(wanted));
    Tell(service, CheckSeal(service), !asking_);
    Tell(service, CheckLaunch(wanted));
  }
  void VerifySeal(const ProcessWanted& wanted, const attest::WalkOptions& walk) {
    const spec::Service& service = *wanted.service;
    if (!service.verify_rootfs_attestation || service.rootfs.empty() || Comes(service, service.rootfs)) return;
    const auto manifest = service.inputs.find("rootfs");
    const std::string planned = manifest == service.inputs.end() ? "" : manifest->second.Hex();
    const auto [known, is_new] = seals_.try_emplace(service.rootfs + "\n" + planned);
    if (is_new) known->second = VerifyWhole(service.rootfs, planned, walk);
    if (!known->second && known->second.error().code == ErrorCode::kInterrupted) return;
    Tell(service, known->second);
  }
  std::vector<spec::Problem> Take() { return std::exchange(problems_, {}); }

 private:
  // known: whether that is who it will be, wherever it starts.
  struct Who {
    Workload workload;
    bool known = true;
  };

  bool AsStarter() const { return asking_ && asking_ != Asking::kLooker; }
  // Whether somebody who is started before it may make that: then it is not looked for yet.
  bool Comes(const spec::Service& service, const std::string& path) const {
    std::set<std::string_view> seen;
    return ComesBefore(service, path, seen);
  }
  bool ComesBefore(const spec::Service& service, std::string_view path, std::set<std::string_view>& seen) const {
    return std::ranges::any_of(service.depends_on, [&](const spec::Dependency& dependency) {
      if (!seen.insert(dependency.service).second) return false;
      const auto started = starts_.find(dependency.service);
      if (started != starts_.end() && Writes(*started->second, path)) return true;
      const auto other = topology_.services.find(dependency.service);
      return other != topology_.services.end() && ComesBefore(other->second, path, seen);
    });
  }
  // The same, or a volume of its own that may not be there yet.
  bool MayCome(const ProcessWanted& wanted, const std::string& path) const {
    const auto holds = [&](const auto& volume) { return Nested(path, volume.second); };
    return !asking_ || std::ranges::any_of(wanted.volume_paths, holds) || Comes(*wanted.service, path);
  }

  // Elsewhere it is no more than a word, which is told once, whoever it is about.
  void CheckItsKernel(const spec::Service& service) {
    const auto checked = CheckKernel(service);
    if (checked || (!asking_ && !lacks_.insert(checked.error().Message()).second)) return;
    Tell(service, checked, !asking_);
  }

  // Into what is made first, or by somebody who is started before.
  bool MayBePut(const ProcessWanted& wanted, const std::string& path) const {
    const auto holds = [&](const auto& volume) { return Nested(path, volume.second) && made_.contains(volume.first); };
    return std::ranges::any_of(wanted.volume_paths, holds) || Comes(*wanted.service, path);
  }

  Result<> CheckSecrets(const ProcessWanted& wanted) const {
    for (const auto& secret : wanted.service->secrets) {
      if (::access(secret.source.c_str(), R_OK) == 0) continue;
      Error error = Error::Sys("read", secret.source);
      if (!MayBePut(wanted, secret.source)) return Fail(std::move(error).In("secrets " + secret.destination));
    }
    return {};
  }

  Result<> CheckSeal(const spec::Service& service) {
    if (!service.verify_rootfs_attestation || service.rootfs.empty() || root_comes_) return {};
    const auto [known, is_new] = seals_.try_emplace(service.rootfs);
    if (is_new) known->second = LookAtSeal(service.rootfs);
    // A warning is told once, whoever has it.
    return is_new || asking_ ? known->second : Result<>();
  }
  static Result<> LookAtSeal(const std::string& rootfs) {
    const sys::Fd root = TRY_IN("rootfs", sys::Open(rootfs, O_PATH | O_DIRECTORY));
    TRY_IN("verify_rootfs_attestation", attest::CheckManifest(root.get(), rootfs));
    return {};
  }

  static Result<> VerifyWhole(const std::string& rootfs, const std::string& manifest, const attest::WalkOptions& walk) {
    (void)TRY_IN("verify_rootfs_attestation", attest::CloneAsSealed(rootfs, manifest, walk));
    return {};
  }

  Result<> CheckLaunch(const ProcessWanted& wanted) {
    const spec::Service& service = *wanted.service;
    const auto [workload, known] = TRY(WhoIs(service));
    Users users;
    if (asking_) {
      const auto need = security::NeedOf(service, workload.own);
      const auto range = need ? std::optional(sys::IdSpan{need->from.first, need->count}) : std::nullopt;
      users = TRY(UsersOf(service, workload, range));
    }
    TRY(CheckMounts(wanted, workload, users));
    if (service.caps_policy.empty()) return {};
    const CapabilitySets sets = TRY_IN("caps_policy", CompileCapabilities(service));
    if (known) TRY(security::CheckKept(sets, workload.account.identity));
    if (StartsItself(wanted) && !users.space.enabled)
      if (const auto held = CheckHeldByUs(service, sets); !held)
        Report(service, held.error(), asking_ == Asking::kLooker);
    return {};
  }

  // With what we have: not where we only look and an ordinary user's apply is in a user namespace, and not where a unit
  // of systemd has started who will.
  bool StartsItself(const ProcessWanted& wanted) const {
    return asking_ && ::geteuid() == 0 && !process::IsHeld(wanted.directory);
  }

  // Elsewhere, or in a root file system that comes, names may stand for others; what is found in a rootfs here is worth
  // a word.
  Result<Who> WhoIs(const spec::Service& service) {
    const bool numbers = IsOfNumbers(service);
    const bool here = asking_ ? !root_comes_ : !service.rootfs.empty();
    if (numbers || here) {
      const auto found = WorkloadLike(service);
      if (found) return Who{*found, numbers || asking_};
      if (asking_ && here) return Fail(found.error());
      if (here) Tell(service, Fail(found.error()), true);
    }
    return Who{TRY(WorkloadLike({})), false};
  }

  // Services mostly are the same people, of the same root file system: it is read once.
  Result<Workload> WorkloadLike(const spec::Service& service) {
    std::string who = service.rootfs + "\n";
    if (service.userns) who += std::to_string(static_cast<int>(*service.userns));
    for (const auto* name : {&service.user.user, &service.user.group}) who += "\n" + *name;
    for (const auto& group : service.additional_groups) who += "\n" + group;
    const auto known = workloads_.find(who);
    if (known != workloads_.end()) return known->second;
    if (!own_) own_ = TRY(IdsAtApply());
    return workloads_.emplace(who, TRY(WorkloadOf(service, *own_))).first->second;
  }

  // Of a root that is not this one, only what would be wrong with any.
  Result<> CheckMounts(const ProcessWanted& wanted, const Workload& workload, const Users& users) {
    mounts::MountsInput input = TRY(MountsInputOf(wanted, workload, users, directories_));
    if (wanted.service->rootfs.empty() && !host_) host_ = TRY(mounts::ReadHostShape());
    input.host = host_ ? &*host_ : nullptr;
    if (!denied_) denied_ = TRY(mounts::DeniedPlaces::Read(directories_));
    input.denied = &*denied_;
    for (const auto& credential : wanted.service->systemd_credentials)
      input.credentials.emplace(credential.source, "/run/credentials/" + credential.source);
    input.may_come = [&](const std::string& path) { return MayCome(wanted, path); };
    input.verdicts = &verdicts_;
    input.any_root = root_comes_;
    const auto here = CheckOperations(input);
    if (here || asking_) return here;
    input.any_root = true;
    TRY(CheckOperations(input));
    Tell(*wanted.service, here, true);
    return {};
  }
  static Result<> CheckOperations(const mounts::MountsInput& input) {
    return CheckInside(input, TRY(mounts::CompileMounts(input)));
  }

  void Tell(const spec::Service& service, const Result<>& checked, bool warning = false) {
    if (checked) return;
    const Error& error = checked.error();
    const bool refused = error.sys_errno == EACCES || error.sys_errno == EPERM;
    if (!refused || AsStarter()) Report(service, error, warning);
  }
  void Report(const spec::Service& service, const Error& error, bool warning) {
    spec::Problem problem;
    if (asking_ == Asking::kCommand) {
      const Error said = SayAsFlags(error);
      problem.message = WithHint(said.Message(), said.hint);
    } else {
      problem = ProblemOf(topology_, service, error);
    }
    problem.warning = warning;
    problems_.push_back(std::move(problem));
  }

  const spec::Topology& topology_;
  const Starts& starts_;
  const Directories& directories_;
  const std::optional<Asking> asking_;
  const std::set<std::string> made_;  // volumes that are made first
  bool root_comes_ = false;           // of the service that is checked: somebody who is started before makes its rootfs
  std::optional<security::OwnIds> own_;
  std::set<std::string> lacks_;  // what this machine's kernel has not, as it was told
  std::map<std::string, Result<>> seals_;
  std::map<std::string, Workload> workloads_;
  std::optional<mounts::HostShape> host_;
  std::optional<mounts::DeniedPlaces> denied_;
  mounts::Verdicts verdicts_;
  std::vector<spec::Problem> problems_;
};

}  // namespace

std::vector<spec::Problem> CheckStarts(const spec::Topology& desired, const reconcile::Plan& plan,
                                       const Observations& seen, const Directories& directories, Asking asking) {
  const Starts starts = StartsOf(plan);
  StartChecker checker(desired, starts, directories, asking, VolumesMadeBy(plan));
  std::vector<spec::Problem> problems;
  for (const auto& [name, wanted] : starts) {
    checker.Check(*wanted);
    for (auto& problem : checker.Take()) {
      if (!problem.warning && asking != Asking::kCommand) SayWhoIsStopped(problem, name, StoppedBy(plan, seen, name));
      problems.push_back(std::move(problem));
    }
  }
  return problems;
}

std::vector<spec::Problem> VerifySeals(const spec::Topology& desired, const reconcile::Plan& plan,
                                       const Observations& seen, const Directories& directories, Asking asking,
                                       const attest::WalkOptions& walk) {
  const Starts starts = StartsOf(plan);
  StartChecker checker(desired, starts, directories, asking);
  std::vector<spec::Problem> problems;
  for (const auto& [name, wanted] : starts) {
    const auto stopped = StoppedBy(plan, seen, name);
    if (stopped.empty()) continue;
    checker.VerifySeal(*wanted, walk);
    for (auto& problem : checker.Take()) {
      if (asking != Asking::kCommand) SayWhoIsStopped(problem, name, stopped);
      problems.push_back(std::move(problem));
    }
  }
  return problems;
}

std::vector<spec::Problem> CheckStarts(const spec::Topology& desired, const Directories& directories) {
  std::vector<ProcessWanted> wanted;
  wanted.reserve(desired.services.size());
  Starts starts;
  for (const auto& [name, service] : desired.services) {
    ProcessWanted& one = wanted.emplace_back();
    one.service = std::shared_ptr<const spec::Service>(std::shared_ptr<const spec::Service>(), &service);
    one.directory = directories.ServiceDir(desired.name, {Kind::kService, name});
    for (const auto& [volume, state] : desired.volumes)
      one.volume_paths[volume] = state.path.empty() ? directories.VolumeMount(desired.name, volume) : state.path;
    starts[name] = &one;
  }
  StartChecker checker(desired, starts, directories, std::nullopt);
  for (const auto& one : wanted) checker.Check(one);
  return checker.Take();
}

Error SayAsFlags(Error error) {
  const auto blamed = BlamedIn(error);
  if (!blamed) return error;
  spec::Problem hint;
  hint.message = error.hint;
  spec::SayAsFlags(hint);
  return Error::Of(error.code, "", "", Told(spec::FlagOf(blamed->key), *blamed, error)).Hint(hint.message);
}

}  // namespace nucleus::cli
