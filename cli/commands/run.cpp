// One container in the foreground, by the parts that apply makes services of: a control group, name files, a process.
// The caller's standard files are the workload's and so is the exit code; nothing of ours is written to standard
// output.
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "actuators/cgroup/apply.hpp"
#include "actuators/cgroup/probe.hpp"
#include "actuators/netns/ahead.hpp"
#include "actuators/netns/apply.hpp"
#include "actuators/netns/denials.hpp"
#include "actuators/process/beside_thread.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/map_again.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/process/user_namespace.hpp"
#include "actuators/supervisor/passed_signals.hpp"
#include "actuators/supervisor/supervisor.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "cli/commands/run_from_clone.hpp"
#include "cli/compile_launch.hpp"
#include "cli/detached.hpp"
#include "cli/limit_checks.hpp"
#include "cli/policies.hpp"
#include "cli/run_network.hpp"
#include "cli/run_options.hpp"
#include "cli/run_preview.hpp"
#include "cli/session.hpp"
#include "cli/signals.hpp"
#include "cli/start_checks.hpp"
#include "cli/walk_progress.hpp"
#include "reconcile/limits.hpp"
#include "reconcile/wanted.hpp"
#include "spec/core/text.hpp"
#include "spec/flags.hpp"
#include "state/permissions.hpp"

namespace nucleus::cli {

namespace {

// What is made of the command line, before anything is made on the machine.
struct Asked {
  Directories directories;
  PartKey key;  // of its process
  spec::Topology topology;
  Host host;
  std::optional<sys::CgroupRoot> groups;  // none: looking for them says why
  bool named = false;                     // by the caller, and not by chance
};

Result<Asked> Read(Context& context) {
  const Arguments& arguments = context.arguments;
  Asked asked;
  asked.directories = TRY(DirectoriesOf(arguments));
  std::string name = arguments.Value("name");
  asked.named = arguments.Has("name");
  if (!asked.named) name = TRY(RandomDigits(kShortIdDigits));
  if (!IsValidName(name)) {
    return Fail(ErrorCode::kInvalid, "", "--name",
                "'" + Printable(name) +
                    "' is not a name: letters, digits, '_', '.' and '-', a letter or digit first, "
                    "at most 63 characters");
  }
  if (asked.named) TRY(CheckNotDetached(asked.directories, name));
  asked.key = {std::string(kContainersProject), {Kind::kContainer, name}, Part::kProcess};
  if (arguments.Has("tty") && ::isatty(STDIN_FILENO) == 0 && !arguments.Has("dry-run")) {
    return Fail(Error::Of(ErrorCode::kInvalid, "", "--tty", "standard input is no terminal")
                    .Hint("leave it out: pipes and files work without it"));
  }
  const auto outside = spec::Outside::Real();
  asked.topology = TRY(
      TellProblems(context, spec::LoadFlags(asked.key.project, name, FlagsOf(arguments), arguments.operands(), outside),
                   asked.directories));
  auto groups = sys::FindCgroupRoot();
  if (groups) asked.groups = *groups;
  TRY(cgroup::FillHost(asked.host, std::move(groups)));
  return asked;
}

Result<> CheckLimits(Context& context, const spec::Service& service, const reconcile::Side& side) {
  const auto missing = TRY(UnheldOptions(service, side));
  if (!missing.empty()) context.console.Warn(missing + ": not held, " + std::string(reconcile::kNoController));
  return {};
}

// The manager of the caller wants to hear from the workload now and then; sd_watchdog_enabled(3).
void PassWatchdogOn(Launch& launch) {
  const char* every = std::getenv("WATCHDOG_USEC");
  const char* whose = std::getenv("WATCHDOG_PID");
  if (!launch.notify || every == nullptr || (whose != nullptr && whose != std::to_string(::getpid()))) return;
  launch.env.push_back("WATCHDOG_USEC=" + std::string(every));
}

// The parts of one container. What is made is taken away again in reverse order, whatever comes in between.
class OwnContainer {
 public:
  // bridge: none, or the one that it is to have.
  OwnContainer(const Asked& asked, const reconcile::Side& side, RunNetwork* bridge, Console& console)
      : asked_(asked),
        side_(side),
        bridge_(bridge),
        console_(console),
        service_(asked.topology.services.begin()->second),
        directory_(asked.directories.ServiceDir(asked.key.project, asked.key.address)),
        names_(asked.directories) {}
  OwnContainer(const OwnContainer&) = delete;
  OwnContainer& operator=(const OwnContainer&) = delete;
  ~OwnContainer() {
    if (lock_) Remove();
  }

  // ahead: the network namespace that was begun for it; none: it comes with the others.
  Result<int> Run(netns::NamespaceAhead* ahead) {
    auto claimed = process::ClaimDirectory(directory_);
    if (!claimed && claimed.error().code == ErrorCode::kLocked) {
      return Fail(Error::Of(ErrorCode::kConflict, "", asked_.key.address.Text(), "a container of that name is running")
                      .Hint("give it another --name"));
    }
    if (!claimed) return Fail(claimed.error());
    lock_ = std::move(*claimed);
    if (bridge_ != nullptr) TRY(bridge_->MakeBridge(side_));
    // What a launch only names is made while it is compiled, and waited for when it is needed.
    const auto group = side_.Cgroup(service_);
    const auto names = side_.Names(service_);
    process::BesideThread beside([&] { return MakeParts(group, names); });
    const auto ready = [&beside] { return beside.Get(); };
    Launch launch = TRY(Compile());
    PassWatchdogOn(launch);
    const std::string record = Encode(launch), id = launch.id, group_directory = launch.cgroup;
    // A user namespace of its own has no power over what was made before it: over the rules of a bridge it shall not.
    const bool takes =
        ahead != nullptr && !launch.host_network && (bridge_ != nullptr || !launch.user_namespace.enabled);
    if (takes) {
      // Nobody else needs to find it: a descriptor of ours keeps it, for a start after the first too.
      network_ = TRY(ahead->Take());
      if (bridge_ != nullptr) {
        TRY(ready());
        TRY(ahead->Finish());
        TRY(Bridge());
      }
      launch.netns = "/proc/self/fd/" + std::to_string(network_.get());
    }
    std::optional<WalkProgress> progress;
    process::Preparation preparation;
    bool is_kept = false;
    const auto keep = [&]() -> Result<> {
      is_kept = true;
      TRY(sys::ReplaceFile(directory_ + "/" + std::string(kLaunchFile), record, 0600));
      return group_directory.empty() ? Result<>() : sys::SetXattr(group_directory, kTagId, id);
    };
    if (service_.verify_rootfs_attestation || !service_.context.empty()) {
      progress.emplace(console_, "preparing");
      preparation = {progress->counters(), [&progress] { progress->Finish(); }};
      TRY(ready());
      TRY(keep());
    }
    // What is given to other ids than it has is opened before there is anybody to be seen by.
    if (launch.user_namespace.enabled) TRY(ready());
    preparation.ready = ready;
    // The OOM killer ends all who share the memory of whom it picks, and a group without a limit has none of its own.
    if (!service_.memory) preparation.loan = [&beside] { return beside.loan(); };
    preparation.meanwhile = [&]() -> Result<> {
      if (!is_kept) TRY(keep());
      if (takes) return ahead->Finish();
      if (ahead != nullptr) ahead->Drop();
      return {};
    };
    auto supervisor = process::Supervisor::Attach(directory_, lock_, std::move(launch), preparation);
    if (!supervisor) return Fail(std::move(supervisor).error());
    beside.TakeBack();
    for (const auto& warning : supervisor->warnings()) console_.Warn(warning);
    // Where the terminal is the workload's, it makes no new lines of its own.
    const std::string end = service_.tty ? "\r\n" : "\n";
    supervisor->TellTo([&](const std::string& words) { console_.Err("nucleus: " + words + end); });
    supervisor->Run();
    const int code = supervisor->exit_code();
    for (const auto& line : supervisor->Denials()) console_.Err("nucleus: " + line + "\n");
    TellDeniedPackets();
    if (supervisor->trace_error()) console_.Fail("run", *supervisor->trace_error());
    Remove();
    TidyUp();
#ifndef NUCLEUS_SANITIZED  // which looks for leaks
    // Only memory is left, and the kernel takes it back faster than destructors do, page by page.
    if (bridge_ == nullptr && !progress && !service_.tty) ::_exit(code);
#endif
    return code;
  }

  Result<Launch> Compile() const {
    auto wanted = side_.Process(service_);
    wanted.netns.clear();  // one of its own, which nobody else needs to find
    wanted.files.clear();  // bound as they are: the copies that apply makes are there to tell when one has changed
    std::optional<sys::PendingSignals> signals;
    const bool bound = !service_.context.empty() && service_.context_mode == spec::ContextMode::kBind;
    if (bound) signals.emplace(true, process::StopSignal());
    const attest::WalkOptions walk{.stop = signals ? signals->come() : nullptr};
    return LaunchCompiler(asked_.directories, walk, asked_.groups)(asked_.key, wanted);
  }

 private:
  Result<> Bridge() {
    return bridge_->Make(side_, service_, network_, [this](std::string_view words) { console_.Warn(words); });
  }
  // What runs that were killed have left, when ours has ended; others look before they start. Of many a few are
  // looked at: others come after us. One call where there is nobody else: a directory of a tmpfs has a link more for
  // each that is in it.
  void TidyUp() {
    constexpr std::size_t kMost = 4;
    struct stat all{};
    const std::string containers = directory_.substr(0, directory_.rfind('/'));
    if (asked_.named || bridge_ != nullptr || ::stat(containers.c_str(), &all) != 0 || all.st_nlink <= 2) return;
    RunNetwork::RemoveOrphans(asked_.directories, {.time = std::chrono::milliseconds(0)}, kMost);
  }
  void TellDeniedPackets() {
    if (bridge_ == nullptr || !network_) return;
    const auto denied = netns::DeniedIn(network_);
    if (!denied || denied->value_or(0) == 0) return;
    console_.Err("nucleus: " + std::to_string(**denied) + (**denied == 1 ? " packet" : " packets") +
                 " denied by egress rules\n");
  }
  Result<> MakeParts(const std::optional<CgroupWanted>& group, const NamesWanted& names) {
    if (group) {
      cgroup_.emplace(asked_.directories, asked_.groups ? *asked_.groups : TRY(sys::FindCgroupRoot()));
      // What a run of that name that was killed has left is no part of this one.
      if (asked_.named) TRY(cgroup_->Undo(Key(Part::kCgroup), nullptr, {}, {}));
      TRY(cgroup_->Apply(Key(Part::kCgroup), *group, {}));
    }
    return names_.Apply(Key(Part::kNames), names, {});
  }
  [[nodiscard]] PartKey Key(Part part) const { return {asked_.key.project, asked_.key.address, part}; }

  // The lock goes last, while it is held: whoever waits for the name finds either all of this or nothing.
  void Remove() {
    auto undone = bridge_ != nullptr ? bridge_->Remove() : Result<>();
    if (cgroup_) (void)cgroup_->Undo(Key(Part::kCgroup), nullptr, {}, {});
    // What is replaced by way of a temporary, where a run of that name that was killed has left one; and what is
    // written in its place.
    if (asked_.named)
      for (const auto file : {kLaunchFile, kStatusFile}) sys::RemoveTemporaries(directory_ + "/" + std::string(file));
    for (const auto file : {kLaunchFile, kStatusFile}) ::unlink((directory_ + "/" + std::string(file)).c_str());
    for (const auto file : kNameFiles) ::unlink((directory_ + "/" + std::string(file)).c_str());
    if (service_.sd_notify) (void)sys::RemoveTree(directory_ + "/" + std::string(kNotifyDirectory));
    if (!undone) {
      console_.Warn(undone.error().Message() + "; the next container with a bridge takes away what is left");
      lock_.reset();
      return;
    }
    ::unlink((directory_ + "/" + std::string(kLockFile)).c_str());
    sys::RemoveIfEmpty(directory_, 2);
    lock_.reset();
  }

  const Asked& asked_;
  const reconcile::Side& side_;
  RunNetwork* bridge_;
  Console& console_;
  const spec::Service& service_;
  std::string directory_;
  sys::Fd lock_, network_;
  std::optional<cgroup::CgroupActuator> cgroup_;
  netns::NetnsActuator names_;
};

// A signal that comes while things are made is kept until there is a workload to have it.
void HoldSignals() {
  const sigset_t held = process::PassedSignals();
  ::sigprocmask(SIG_BLOCK, &held, nullptr);
}

// An ordinary user is root of a user namespace from here on. Whose directories are used was decided before.
Result<> BecomeRoot(const Arguments& arguments) {
  const Directories directories = TRY(DirectoriesOf(arguments));
  TRY(state::PrepareDirectory(directories.runtime, {}));
  ::setenv("NUCLEUS_STATE_DIR", directories.state.c_str(), 1);
  ::setenv("NUCLEUS_RUNTIME_DIR", directories.runtime.c_str(), 1);
  return process::EnterOwnUserNamespace();
}

Result<int> Run(Context& context) {
  if (::geteuid() != 0) TRY(BecomeRoot(context.arguments));
  const bool for_real = !context.arguments.Has("dry-run");
  if (for_real) TRY(RunFromClone());
  HoldSignals();
  ::mallopt(M_ARENA_MAX, 1);  // a heap for each thread takes longer to make than what the threads here do
  std::optional<netns::NamespaceAhead> network;
  if (for_real) network.emplace(process::TakeClone());
  const Asked asked = TRY(Read(context));
  const spec::Service& service = asked.topology.services.begin()->second;
  std::unique_ptr<RunNetwork> bridge;
  if (!service.networks.empty()) {
    bridge = TRY(for_real ? RunNetwork::Reserve(asked.directories, service)
                          : RunNetwork::Propose(asked.directories, service));
  }
  // A name may be that of one that was killed with a bridge.
  if (for_real && asked.named && !bridge) RunNetwork::RemoveOrphans(asked.directories, RunNetwork::Patience());
  const reconcile::Leases leases = bridge ? bridge->leases() : reconcile::Leases();
  const reconcile::Side side(asked.topology, leases, asked.host, asked.directories, Kind::kContainer);
  TRY(CheckLimits(context, service, side));
  OwnContainer container(asked, side, bridge.get(), context.console);
  if (for_real) {
    TRY_IN("--seccomp-log", process::CheckTraceFile(service.seccomp_log));
    return container.Run(network ? &*network : nullptr);
  }
  const Launch launch = TRY(container.Compile());
  const auto group = side.Cgroup(service);
  const Preview preview{launch,
                        service,
                        group ? group->limits : Facts(),
                        side.Netns(service),
                        bridge ? bridge->backend() : "",
                        TRY(security::ReadOwnIds())};
  context.console.Out(OutputFormOf(context.arguments) == OutputForm::kJson ? PreviewJson(preview)
                                                                           : PreviewText(preview));
  return exit_code::kDone;
}

}  // namespace

Result<int> RunRun(Context& context) {
  if (context.arguments.Has("output") && !context.arguments.Has("dry-run"))
    return UsageFault(context, "--output is the form of what --dry-run prints: not without it");
  auto ended = context.arguments.Has("detach") ? RunDetached(context) : Run(context);
  if (ended) return ended;
  Error error = std::move(ended).error();
  if (error.operation == "add Landlock rule") {
    auto place = PlaceOfLandlockRule(context.arguments.Value("landlock-policy"), error.subject);
    error = std::move(error).In(std::move(place));
  }
  error = SayAsFlags(std::move(error));
  context.console.Fail(context.arguments.command().name, error);
  const int held = sys::PendingEnd(true, process::StopSignal());
  if (const int signal = held != 0 ? held : InterruptedBy(); error.code == ErrorCode::kInterrupted && signal != 0)
    return 128 + (signal == process::StopSignal() ? SIGTERM : signal);
  return error.operation == "execute" ? process::ExitCodeOf(error) : exit_code::kNotStarted;
}

}  // namespace nucleus::cli
