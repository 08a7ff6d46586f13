// What services demand of the machine that they are started on: what its kernel confines with, the lockdown of that,
// and a program for their network. Reads only. The trail of an error is the key that it is about, where it is about
// one.
#pragma once

#include <vector>

#include "spec/load.hpp"
#include "spec/types.hpp"

namespace nucleus::cli {

// Of all services, for whoever starts them here. A warning is what does not keep them from that.
std::vector<spec::Problem> CheckMachine(const spec::Topology& topology);

// What of that a start of one service needs of the kernel, and would fail without.
Result<> CheckKernel(const spec::Service& service);
Result<> CheckLockdown(const spec::Service& service);

}  // namespace nucleus::cli
