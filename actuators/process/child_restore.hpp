// Has CRIU make the processes of a container again: in its control group and network namespace, with the root and the
// mounts of its launch, as children of the caller.
//
// A child of ours builds the root as that of a workload is built, in a mount namespace of its own, at a directory
// instead of above "/", and puts each mount that criu is told to take once more where root alone may write; it becomes
// criu, which makes what processes hold by themselves: pid, ipc, uts, mount and time namespaces, memory, files,
// credentials, seccomp programs. criu(8).
#pragma once

#include <functional>

#include "actuators/process/child.hpp"
#include "state/parts/restore_order.hpp"

namespace nucleus::process {

// stdio: out and err are what the log's pipes become. stage: an empty directory, beside which there is another
// (kRestoreMounts); both are root's alone. stop: asked several times a second;
// true: kInterrupted. On error nothing is left but what is in the control group, which the caller kills.
Result<Running> Restore(const Prepared& prepared, const RestoreOrder& order, const Stdio& stdio,
                        const std::string& stage, const std::function<bool()>& stop);

}  // namespace nucleus::process
