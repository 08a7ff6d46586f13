// Who kills a workload whose supervisor was killed, whatever that workload has done to its parent death signal:
// prctl(2) lets it lift that, and another uid or a set-user-ID program loses it.
//
// A process that shares our memory, as vfork(2) does, but for a stack of its own: nothing is copied, and nothing but
// system calls is done there, for every lock and errno are ours. It waits for whoever ends first of us and the
// workload, by pidfd. It has a session of its own, no signal reaches it but SIGKILL, and no open file but the two: so
// it ends by that alone, or with the workload. Who kills it as well as us has it gone: its command line is ours, its
// name is not. The OOM killer always does: it kills all that share the memory of whom it takes.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <memory>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

class Guard {
 public:
  // workload: a child of ours.
  static Result<std::unique_ptr<Guard>> Start(pid_t workload);
  // It is gone afterwards.
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  Guard() = default;
  static int Watch(void* guard);

  sys::Fd caller_, workload_, process_;
  alignas(16) std::array<std::byte, 4096> stack_;
};

}  // namespace nucleus::process
