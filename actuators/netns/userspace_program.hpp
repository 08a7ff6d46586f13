// The programs that make a way out of a network namespace in user space, and where they are: only where root installs
// programs. Changes nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

struct UserspaceProgram {
  spec::NatBackend backend = spec::NatBackend::kSlirp4netns;  // or kPasta
  std::string path;
  [[nodiscard]] std::string_view name() const;
};

// The first of them that is published on an IPv6 address.
std::optional<spec::PortForward> FirstOnIpv6(const std::vector<spec::PortForward>& ports);

// backend: one that is named, and else whichever is there, slirp4netns first; pasta where one of the ports is on an
// IPv6 address, which the other cannot publish. kNotFound; kUnsupported where the one that is named cannot.
Result<UserspaceProgram> FindUserspaceProgram(spec::NatBackend backend, const std::vector<spec::PortForward>& ports);

}  // namespace nucleus::netns
