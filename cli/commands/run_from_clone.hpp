// What goes before entering a container: from a clone of our own file, and for an ordinary user into its namespace.
#pragma once

#include "actuators/process/own_program.hpp"
#include "cli/containers.hpp"
#include "spec/core/error.hpp"

namespace nucleus::cli {

// As process::RunFromClone(), with the words and the environment of this process.
Result<> RunFromClone();

// A service or container in the background of an ordinary user is in that user's machine: this process enters it, where
// there is one. For root there is nothing to do, nor for one in the foreground. As JoinUsersMachine().
Result<> EnterMachineOf(const Container& container, const Directories& directories);

// The same; and one in the foreground is in a user namespace that `run` has made: this process enters that, and is root
// there as `run` is. The directories are in the environment from here on.
Result<> BecomeOwnerOf(const Container& container, const Directories& directories);

}  // namespace nucleus::cli
