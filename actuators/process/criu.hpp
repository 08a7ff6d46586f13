// CRIU, the program that writes processes down and makes them again; criu(8). Only where root installs programs, with
// an environment of ours.
#pragma once

#include <array>
#include <string>

#include "spec/core/error.hpp"

namespace nucleus::process {

// kNotFound where it is not installed, or others than root could have put it there.
Result<std::string> FindCriu();

// It looks for tar and iptables.
inline constexpr const char* kCriuPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";

// The last error in a log of it, for a message; "" where there is none.
std::string CriuError(const std::string& log);

}  // namespace nucleus::process
