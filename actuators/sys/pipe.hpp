// pipe2(2) with owners for both ends. Header only.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

struct Pipe {
  Fd read, write;
};

// what: what goes through it, for the error.
inline Result<Pipe> MakePipe(std::string_view what) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return FailSys("pipe2", what);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

}  // namespace nucleus::sys
