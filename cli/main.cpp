// Parses, calls the command, prints its error, exits. `nucleus version` is timed: nothing here or in a static
// initialiser may take long.

#include <unistd.h>
#include <csignal>

#include <cerrno>
#include <string>
#include <variant>
#include <vector>

#include "actuators/sys/standard_files.hpp"
#include "cli/arguments.hpp"
#include "cli/commands/commands.hpp"
#include "cli/console.hpp"
#include "cli/session.hpp"
#include "cli/signals.hpp"
#include "cli/users_machine.hpp"
#include "spec/core/heap.hpp"

namespace nucleus::cli {
namespace {

// An ordinary user's topologies live in namespaces of theirs.
enum class Machine { kNone, kEntered, kNeeded };
Machine MachineOf(const Arguments& arguments) {
  switch (arguments.command().id) {
    case CommandId::kApply:
    case CommandId::kComposeUp:
    case CommandId::kRollback:
    case CommandId::kRevive:
      return Machine::kNeeded;
    case CommandId::kDiff:
    case CommandId::kDestroy:
    case CommandId::kComposeDown:
    case CommandId::kDrift:
    case CommandId::kGraph:
    case CommandId::kComposePs:
    case CommandId::kPs:
    case CommandId::kInspect:
    case CommandId::kLogs:
    case CommandId::kVerify:
    case CommandId::kRm:
    case CommandId::kEnded:
      return Machine::kEntered;
    case CommandId::kRun:  // in the background by itself, once there is something to start
    case CommandId::kCreate:
    case CommandId::kValidate:
    case CommandId::kComposeValidate:
    case CommandId::kShow:
    case CommandId::kHistory:
    case CommandId::kState:
    case CommandId::kStats:
    case CommandId::kEvents:
    case CommandId::kSchema:
    case CommandId::kRootfsSeal:
    case CommandId::kRootfsVerify:
    case CommandId::kSeccompGenerate:
    case CommandId::kSeccompDiff:
    case CommandId::kSeccompExplain:
    case CommandId::kCheckpoint:  // root's alone
    case CommandId::kRestore:
    case CommandId::kVersion:
    case CommandId::kCompletion:
    case CommandId::kHelp:
    case CommandId::kManual:
    case CommandId::kComplete:
    // One in the foreground has namespaces of its own: which ones are entered is known once the container is.
    case CommandId::kExec:
    case CommandId::kAttach:
    case CommandId::kStop:
    case CommandId::kKill:
    case CommandId::kWait:
    case CommandId::kPause:
    case CommandId::kUnpause:
    case CommandId::kCp:
      return Machine::kNone;
  }
  return Machine::kNone;
}

Result<> EnterMachine(const Arguments& arguments) {
  const auto machine = MachineOf(arguments);
  if (machine == Machine::kNone || ::geteuid() == 0) return {};
  const auto directories = TRY(DirectoriesOf(arguments));
  if (machine == Machine::kNeeded) return NeedUsersMachine(directories);
  (void)TRY(JoinUsersMachine(directories));
  return {};
}

Result<int> Run(Context& context) {
  TRY(EnterMachine(context.arguments));
  switch (context.arguments.command().id) {
    case CommandId::kValidate:
    case CommandId::kComposeValidate:
      return RunValidate(context);
    case CommandId::kDiff:
      return RunDiff(context);
    case CommandId::kApply:
    case CommandId::kComposeUp:
      return RunApply(context);
    case CommandId::kDestroy:
    case CommandId::kComposeDown:
      return RunDestroy(context);
    case CommandId::kDrift:
      return RunDrift(context);
    case CommandId::kShow:
      return RunShow(context);
    case CommandId::kGraph:
      return RunGraph(context);
    case CommandId::kHistory:
      return RunHistory(context);
    case CommandId::kRollback:
      return RunRollback(context);
    case CommandId::kRevive:
      return RunRevive(context);
    case CommandId::kRun:
    case CommandId::kCreate:
      return RunRun(context);
    case CommandId::kExec:
      return RunExec(context);
    case CommandId::kAttach:
      return RunAttach(context);
    case CommandId::kStop:
      return RunStop(context);
    case CommandId::kKill:
      return RunKill(context);
    case CommandId::kWait:
      return RunWait(context);
    case CommandId::kPause:
      return RunPause(context);
    case CommandId::kUnpause:
      return RunUnpause(context);
    case CommandId::kCp:
      return RunCp(context);
    case CommandId::kState:
      return RunState(context);
    case CommandId::kStats:
      return RunStats(context);
    case CommandId::kEvents:
      return RunEvents(context);
    case CommandId::kSchema:
      return RunSchema(context);
    case CommandId::kComposePs:
      return RunComposePs(context);
    case CommandId::kPs:
      return RunPs(context);
    case CommandId::kInspect:
      return RunInspect(context);
    case CommandId::kLogs:
      return RunLogs(context);
    case CommandId::kVerify:
      return RunVerify(context);
    case CommandId::kEnded:
      return RunEnded(context);
    case CommandId::kRm:
      return RunRm(context);
    case CommandId::kCheckpoint:
      return RunCheckpoint(context);
    case CommandId::kRestore:
      return RunRestore(context);
    case CommandId::kRootfsSeal:
      return RunRootfsSeal(context);
    case CommandId::kRootfsVerify:
      return RunRootfsVerify(context);
    case CommandId::kSeccompGenerate:
      return RunSeccompGenerate(context);
    case CommandId::kSeccompDiff:
      return RunSeccompDiff(context);
    case CommandId::kSeccompExplain:
      return RunSeccompExplain(context);
    case CommandId::kVersion:
      return RunVersion(context);
    case CommandId::kCompletion:
      return RunCompletion(context);
    case CommandId::kHelp:
      return RunHelp(context);
    case CommandId::kManual:
      return RunManual(context);
    case CommandId::kComplete:
      return RunComplete(context);
  }
  return exit_code::kUsage;
}

// What writes down or restores one container ends as `run` does, by the number of the signal.
int CodeOfInterrupt(CommandId id) {
  const bool of_one = id == CommandId::kCheckpoint || id == CommandId::kRestore;
  return of_one && InterruptedBy() != 0 ? 128 + InterruptedBy() : exit_code::kInterrupted;
}

int ExitCodeOf(ErrorCode code, CommandId id) {
  switch (code) {
    case ErrorCode::kStale:
      return exit_code::kStale;
    case ErrorCode::kLocked:
      return exit_code::kLocked;
    case ErrorCode::kInterrupted:
      return CodeOfInterrupt(id);
    case ErrorCode::kTimeout:
    case ErrorCode::kUnhealthy:
    case ErrorCode::kInvalid:
    case ErrorCode::kUnsupported:
    case ErrorCode::kNotFound:
    case ErrorCode::kExists:
    case ErrorCode::kConflict:
    case ErrorCode::kPermission:
    case ErrorCode::kSystem:
    case ErrorCode::kCorrupt:
    case ErrorCode::kInternal:
      return exit_code::kError;
  }
  return exit_code::kError;
}

int Main(const std::vector<std::string>& words) {
  Console console;
  auto parsed = Parse(words);
  if (const auto* error = std::get_if<UsageError>(&parsed)) {
    console.Fail(error->command, Error::Of(ErrorCode::kInvalid, "", "", error->message).Hint(error->hint));
    return exit_code::kUsage;
  }
  const auto& arguments = std::get<Arguments>(parsed);
  Context context{arguments, console};
  Result<int> result = Run(context);
  if (!result) {
    if (result.error().code == ErrorCode::kPermission && result.error().hint.empty() && ::geteuid() != 0) {
      const auto id = arguments.command().id;
      const bool of_a_tree = id == CommandId::kRootfsSeal || id == CommandId::kRootfsVerify;
      result.error().hint = of_a_tree ? "run it as the owner of the tree, or as root"
                                      : "run it as root; members of the group nucleus, where there is one, may look";
    }
    console.Fail(arguments.command().name, result.error());
    return ExitCodeOf(result.error().code, arguments.command().id);
  }
  if (*result == exit_code::kDone && console.output_errno() != 0 && console.output_errno() != EPIPE) {
    console.Fail(arguments.command().name, Error::Sys("write", "standard output", console.output_errno()));
    return exit_code::kError;
  }
  return *result;
}

}  // namespace
}  // namespace nucleus::cli

int main(int argc, char** argv) {
  nucleus::sys::FillStandardFiles();
  // Ignored by who called us, the exit codes of our children would be lost.
  std::signal(SIGCHLD, SIG_DFL);
  nucleus::SetUpHeap();
  return nucleus::cli::Main(std::vector<std::string>(argv + 1, argv + argc));
}
