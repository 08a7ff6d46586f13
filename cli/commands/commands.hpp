// The commands, one file each. A command gets its checked arguments and the terminal, and returns its exit code, or an
// error that main prints as "nucleus: COMMAND: ..." and turns into one.
#pragma once

#include "cli/arguments.hpp"
#include "cli/console.hpp"
#include "spec/core/error.hpp"

namespace nucleus::cli {

struct Context {
  const Arguments& arguments;
  Console& console;
};

// ---- reading: link no actuator's apply side ----
Result<int> RunValidate(Context& context);
Result<int> RunDiff(Context& context);
Result<int> RunDrift(Context& context);
Result<int> RunShow(Context& context);
Result<int> RunGraph(Context& context);
Result<int> RunHistory(Context& context);
Result<int> RunSchema(Context& context);
Result<int> RunSeccompGenerate(Context& context);  // writes the profile it was told to, and nothing else
Result<int> RunSeccompDiff(Context& context);
Result<int> RunSeccompExplain(Context& context);
Result<int> RunComposePs(Context& context);
Result<int> RunPs(Context& context);
Result<int> RunState(Context& context);
Result<int> RunStats(Context& context);
Result<int> RunEvents(Context& context);
Result<int> RunWait(Context& context);
Result<int> RunInspect(Context& context);
Result<int> RunLogs(Context& context);
Result<int> RunVerify(Context& context);
Result<int> RunVersion(Context& context);
Result<int> RunCompletion(Context& context);
Result<int> RunHelp(Context& context);
Result<int> RunManual(Context& context);
Result<int> RunComplete(Context& context);

// ---- changing ----
Result<int> RunApply(Context& context);
Result<int> RunDestroy(Context& context);
Result<int> RunRollback(Context& context);
Result<int> RunRootfsSeal(Context& context);
Result<int> RunRootfsVerify(Context& context);
Result<int> RunRun(Context& context);
Result<int> RunRevive(Context& context);
Result<int> RunEnded(Context& context);
Result<int> RunRm(Context& context);
Result<int> RunCheckpoint(Context& context);
Result<int> RunRestore(Context& context);
Result<int> RunExec(Context& context);
Result<int> RunAttach(Context& context);
Result<int> RunStop(Context& context);
Result<int> RunKill(Context& context);
Result<int> RunPause(Context& context);
Result<int> RunUnpause(Context& context);
Result<int> RunCp(Context& context);

}  // namespace nucleus::cli
