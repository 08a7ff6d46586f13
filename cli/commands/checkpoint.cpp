#include <unistd.h>

#include <filesystem>

#include "actuators/process/checkpoint.hpp"
#include "actuators/process/stop.hpp"
#include "cli/checkpoint_files.hpp"
#include "cli/containers.hpp"
#include "cli/session.hpp"
#include "reconcile/allocate.hpp"
#include "spec/load.hpp"

namespace nucleus::cli {

namespace {

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

Result<> WriteDown(const Directories& directories, const Container& container, const process::RunningContainer& running,
                   Checkpoint checkpoint, const std::string& path, bool leave_running) {
  const sys::Fd directory = TRY(MakeCheckpointDirectory(path));
  checkpoint.id = running.launch.id;
  checkpoint.order = TRY(process::WriteImages(running, container.Name(), path, leave_running));
  auto sealed = Seal(directories, directory, path, std::move(checkpoint));
  if (!sealed && !leave_running) process::LetGoOn(running);
  if (!sealed || leave_running) return sealed;
  const PartKey key{container.project, container.address, Part::kProcess};
  (void)TRY(process::Stop(key, container.directory, Duration{0}, {}));
  return {};
}

}  // namespace

Result<int> RunCheckpoint(Context& context) {
  const Arguments& arguments = context.arguments;
  if (!arguments.Has("output")) return UsageFault(context, "--output is required", "the directory of the checkpoint");
  TRY(CheckIsRoots("checkpoint"));
  const Directories directories = TRY(DirectoriesOf(arguments));
  const Container container = TRY(FindContainer(directories, arguments.Operand(0)));
  const auto running = TRY(process::OpenRunning(container.directory, container.Name()));
  TRY(process::CheckCanCheckpoint(running, container.Name()));
  Checkpoint checkpoint;
  checkpoint.topology = TRY(TopologyOf(arguments, container));
  TRY(CheckSecrets(arguments, container, checkpoint.topology.services.begin()->second));
  // Its host name and its clocks are in the images.
  auto& service = checkpoint.topology.services.begin()->second;
  service.hostname = running.launch.hostname;
  service.time_namespace = true;
  std::error_code failed;
  const std::string path = std::filesystem::absolute(arguments.Value("output"), failed).lexically_normal().string();
  TRY(WriteDown(directories, container, running, std::move(checkpoint), path, arguments.Has("leave-running")));
  context.console.Out(path + "\n");
  return exit_code::kDone;
}

}  // namespace nucleus::cli
