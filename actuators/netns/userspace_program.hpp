// The programs that make a way out of a network namespace in user space, and where they are: only where root installs
// programs. Changes nothing.
#pragma once

#include <string>
#include <string_view>

#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

struct UserspaceProgram {
  spec::NatBackend backend = spec::NatBackend::kSlirp4netns;  // or kPasta
  std::string path;
  [[nodiscard]] std::string_view name() const;
};

// backend: one that is named, and else whichever is there, slirp4netns first. kNotFound.
Result<UserspaceProgram> FindUserspaceProgram(spec::NatBackend backend);

}  // namespace nucleus::netns
