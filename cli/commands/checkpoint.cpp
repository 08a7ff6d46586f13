#include <signal.h>
#include <unistd.h>

#include <filesystem>

#include "actuators/process/checkpoint.hpp"
#include "actuators/process/stop.hpp"
#include "cli/checkpoint_files.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"
#include "cli/signals.hpp"
#include "reconcile/allocate.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

constexpr LockPatience kLockPatience{.time = Duration{10'000}, .is_interrupted = [] { return Interrupted().load(); }};

Result<> CheckIsRoots(std::string_view command) {
  if (::geteuid() == 0) return {};
  return Fail(Error::Of(ErrorCode::kPermission, "", command, "CRIU needs root").Hint("run it as root"));
}

// What was applied, with the addresses that were chosen for it: what it goes on with are its own.
Result<spec::Topology> TopologyOf(const Arguments& arguments, const Container& container) {
  state::Store store = TRY(OpenToRead(arguments));
  const World world = TRY(LoadWorld(store, container.project));
  spec::Topology topology = world.applied.topology;
  if (!topology.single_container || topology.services.size() != 1) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "checkpoint", container.Name(),
                          "it is of the topology '" + container.project + "', and would be restored without it")
                    .Hint("only a container in the background, of `nucleus run -d`, can be checkpointed"));
  }
  const auto leases = reconcile::AppliedLeases(world.applied);
  for (auto& [name, network] : topology.networks) {
    const auto subnet = leases.subnets.find(reconcile::SubnetKey(name));
    if (subnet != leases.subnets.end()) network.subnet = subnet->second;
  }
  auto& service = topology.services.begin()->second;
  if (!service.networks.empty()) {
    const auto address = leases.addresses.find(reconcile::AddressKey(service.name, service.networks.front()));
    if (address != leases.addresses.end()) service.address = address->second;
  }
  return topology;
}

Result<> CheckSecrets(const Arguments& arguments, const Container& container, const spec::Service& service) {
  if ((service.secrets.empty() && service.systemd_credentials.empty()) || arguments.Has("allow-secrets")) return {};
  return Fail(Error::Of(ErrorCode::kUnsupported, "checkpoint", container.Name(),
                        "it has secrets, which would be in the files that are written")
                  .Hint("--allow-secrets writes them all the same"));
}

// Another run of it, or another container of that name, is not what was looked at.
Result<> CheckSame(const Container& container, const process::RunningContainer& running) {
  const auto now = TRY(process::OpenRunning(container.directory, container.Name()));
  const Status &was = running.status, &is = now.status;
  const bool same = was.id == is.id && was.workload == is.workload && was.supervisor == is.supervisor;
  if (same && is.state == Status::State::kRunning) return {};
  return Fail(ErrorCode::kConflict, "checkpoint", container.Name(), "it was stopped or started meanwhile");
}

// An interrupt is heeded where what was begun can be undone: the container is not left standing still.
class HeldSignals {
 public:
  HeldSignals() {
    sigset_t ends;
    ::sigemptyset(&ends);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&ends, signal);
    ::pthread_sigmask(SIG_BLOCK, &ends, &before_);
  }
  ~HeldSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;

 private:
  sigset_t before_{};
};

struct Target {
  const Directories& directories;
  const Container& container;
  std::string path;
  bool leave_running;
};

Error InterruptedAt(const Container& container) {
  return Error::Of(ErrorCode::kInterrupted, "checkpoint", container.Name(),
                   "interrupted: nothing was written, and the container goes on");
}

// What keeps the container from standing still for ever, where it is to be ended now.
Result<process::CriuKeeper> WriteFiles(const Target& target, const process::RunningContainer& running,
                                       Checkpoint checkpoint, const sys::Fd& directory) {
  checkpoint.id = running.launch.id;
  auto images = TRY(process::WriteImages(running, target.container.Name(), directory, target.leave_running));
  checkpoint.order = std::move(images.order);
  TRY(CheckSame(target.container, running));
  TRY(Seal(target.directories, directory, target.path, std::move(checkpoint)));
  return std::move(images.keeper);
}

Result<> WriteDown(const Target& target, const process::RunningContainer& running, Checkpoint checkpoint) {
  const HeldSignals held;
  if (Interrupted()) return Fail(InterruptedAt(target.container));
  const CheckpointDirectory directory = TRY(MakeCheckpointDirectory(target.path));
  const std::string& own = target.container.directory;
  const sys::Fd hold = TRY(process::HoldForCheckpoint(own));
  auto done = WriteFiles(target, running, std::move(checkpoint), directory.fd);
  const bool interrupted = !done && done.error().code == ErrorCode::kInterrupted;
  if (!done) DiscardCheckpoint(directory, target.path, interrupted);
  if (interrupted) done = Fail(InterruptedAt(target.container));
  if (done && !target.leave_running) {
    const PartKey key{target.container.project, target.container.address, Part::kProcess};
    auto stopped = process::Stop(key, own, Duration{0}, {});
    if (stopped) done->Release();
    if (!stopped) done = Fail(std::move(stopped).error());
  }
  ::unlink((own + "/" + std::string(process::kCheckpointFile)).c_str());
  return done ? Result<>() : Fail(std::move(done).error());
}

}  // namespace

Result<int> RunCheckpoint(Context& context) {
  const Arguments& arguments = context.arguments;
  if (!arguments.Has("output")) return UsageFault(context, "--output is required", "the directory of the checkpoint");
  TRY(CheckIsRoots("checkpoint"));
  CatchSignals();
  const Directories directories = TRY(DirectoriesOf(arguments));
  const Container container = TRY(FindContainer(directories, arguments.Operand(0)));
  const auto running = TRY(process::OpenRunning(container.directory, container.Name()));
  TRY(process::CheckCanCheckpoint(running, container.Name()));
  const auto lock = TRY(state::ProjectLock::Take(directories, container.project, kLockPatience));
  TRY(CheckSame(container, running));
  Checkpoint checkpoint;
  checkpoint.topology = TRY(TopologyOf(arguments, container));
  TRY(CheckSecrets(arguments, container, checkpoint.topology.services.begin()->second));
  // Its host name and its clocks are in the images.
  auto& service = checkpoint.topology.services.begin()->second;
  service.hostname = running.launch.hostname;
  service.time_namespace = true;
  std::error_code failed;
  const std::string path = std::filesystem::absolute(arguments.Value("output"), failed).lexically_normal().string();
  TRY(WriteDown({directories, container, path, arguments.Has("leave-running")}, running, std::move(checkpoint)));
  context.console.Out(path + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
