// What goes before entering a container: from a clone of our own file, and for an ordinary user into its namespace.
#pragma once

#include "actuators/process/own_program.hpp"
#include "cli/containers.hpp"
#include "spec/core/error.hpp"

namespace nucleus::cli {

// As main does, where it was told by the first word.
Result<> RunFromClone(process::Renewal renewal);

// A container of an ordinary user is in a user namespace that `run` has made: this process enters it, and is root there
// as `run` is. For root there is nothing to do. The directories are in the environment from here on.
Result<> BecomeOwnerOf(const Container& container, const Directories& directories);

}  // namespace nucleus::cli
