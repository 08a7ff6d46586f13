// `apply --watch`: converges, and stays to converge again when a file changes or the machine drifts.
//
// Events only say that it is worth looking; a look is a diff, without the lock; where there is something to do it is
// done as `apply` does it. Between two looks nothing is held but descriptors: no lock, no open store.
//
//   files that cannot be read as a whole   told, and what was read last goes on being kept
//   what fails, or does not last           again after 1 s, 2 s ... a minute; told once
//   another command has changed the project, and not to what the files say: left alone until they change, or SIGHUP
//
// SIGHUP reads the files again; SIGTERM and SIGINT end it, and leave what runs. docs/decisions/0027.
#pragma once

#include "cli/session.hpp"

namespace nucleus::cli {

// The exit code: kDone where it was asked to end, kInterrupted where that cut something off.
Result<int> WatchFiles(Context& context);

}  // namespace nucleus::cli
