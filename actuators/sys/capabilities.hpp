// The capabilities that this process has; capabilities(7). Bit masks, 1 << CAP_*.
#pragma once

#include <cstdint>

#include "spec/core/error.hpp"

namespace nucleus::sys {

struct OwnCapabilities {
  std::uint64_t effective = 0, permitted = 0;
};
Result<OwnCapabilities> ReadOwnCapabilities();
std::uint64_t ReadOwnBounding();

}  // namespace nucleus::sys
