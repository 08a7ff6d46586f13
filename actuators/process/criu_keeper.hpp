// criu at work on a container that is to stand still afterwards, and what keeps that from being for ever: a process of
// its own, in a session of its own, that is criu's parent. However ours ends, an end by SIGKILL included, the keeper
// waits until criu is through, as one that is killed leaves its code in the processes, and has them go on.
//
// Where nobody wants the images any more criu is not signalled: it has no handler and would die in the middle. It may
// write to no file instead (RLIMIT_FSIZE, setrlimit(2)), finds its disk full, and puts the processes back as it does
// then.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "actuators/process/running.hpp"
#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

// Has the stopped processes of a container go on.
void LetGoOn(const RunningContainer& container);

class CriuKeeper {
 public:
  struct Order {
    std::string program;
    std::vector<std::string> words;
    const sys::Fd& images;  // criu has it as kImages
    bool stands_still;      // what is written down does, until it is let go on
  };
  static constexpr int kImages = 3;

  CriuKeeper() = default;  // nothing is kept
  // By the only thread. What locks we have open the keeper has as well, until it ends.
  static Result<CriuKeeper> Start(const RunningContainer& container, const Order& order);
  CriuKeeper(CriuKeeper&& other) noexcept;
  CriuKeeper& operator=(CriuKeeper&& other) noexcept;
  CriuKeeper(const CriuKeeper&) = delete;
  CriuKeeper& operator=(const CriuKeeper&) = delete;
  ~CriuKeeper();  // what stands still goes on, unless it was released

  // Of criu, as waitpid(2) has it, once it is through. A signal that asks for an end, and is held back, ends it early.
  Result<int> Status();
  // The container is ended: there is nothing to let go on.
  void Release();

 private:
  CriuKeeper(pid_t pid, sys::Fd answer, sys::Fd life) : pid_(pid), answer_(std::move(answer)), life_(std::move(life)) {}
  void Tell(char what);
  void End();
  pid_t pid_ = 0;
  sys::Fd answer_, life_;
};

}  // namespace nucleus::process
