// User namespaces of containers, and the one that an ordinary user's nucleus puts itself into; user_namespaces(7).
//
// Errors: kPermission where the machine forbids it, with the setting that does. Threads: a map is written from any;
// EnterOwn() only from the one thread of a process that has no other.
#pragma once

#include <sys/types.h>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::process {

// Writes the maps of a process that was cloned with CLONE_NEWUSER and has not gone on yet.
Result<> WriteIdMaps(pid_t pid, const UserNamespace& maps);

// A user namespace of those maps that nobody is in, for mounts whose owners are mapped; mount_setattr(2).
Result<sys::Fd> MakeUserNamespace(const UserNamespace& maps);

// Puts this process into a user namespace, where it is root, and a mount namespace of its own. The caller's subordinate
// ids follow from 1 on where newuidmap(1) and newgidmap(1) are installed and /etc/subuid and /etc/subgid lend some.
Result<> EnterOwnUserNamespace();

}  // namespace nucleus::process
