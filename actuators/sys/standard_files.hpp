// Standard input, output and error of a program that hands them on to a container.
#pragma once

#include "spec/core/error.hpp"

namespace nucleus::sys {

// Those that we were started without are /dev/null from here on: what is opened next would else be one of them, and in
// the hands of the workload. Before anything is opened; needs no run time.
void FillStandardFiles();

// A directory, or what was opened as a place only (O_PATH), would lead whoever has it out of its root: CVE-2024-21626.
Result<> CheckStandardFiles();

}  // namespace nucleus::sys
