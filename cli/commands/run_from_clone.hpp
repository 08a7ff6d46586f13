// As main does, where it was told by the first word: from a clone of our own file, before a container is entered.
#pragma once

#include "actuators/process/own_program.hpp"
#include "spec/core/error.hpp"

namespace nucleus::cli {

Result<> RunFromClone(process::Renewal renewal);

}  // namespace nucleus::cli
