// Which processors a thread may have: for one that shall run beside the thread that makes it.
//
// By itself the kernel leaves a thread that is made in the first moments of a program, while whoever has started that
// still goes to sleep elsewhere, behind the one that has made it, for longer than what it does takes. Header only; may
// be called before the C library is up. sched_setaffinity(2).
#pragma once

#include <sched.h>
#include <sys/syscall.h>

#include <cstddef>
#include <cstdint>

#include "actuators/sys/raw_call.hpp"

namespace nucleus::sys {

class Processors {
 public:
  // Those of the caller.
  Processors() {
    const long size = RawCall(SYS_sched_getaffinity, 0, sizeof words_, At(words_));
    if (size > 0) size_ = static_cast<std::size_t>(size);
  }

  // But the one that the caller is on. False: there is no other.
  bool LeaveOwn() {
    unsigned own = 0;
    if (RawCall(SYS_getcpu, At(&own)) != 0 || own >= size_ * 8) return false;
    words_[own / 64] &= ~(std::uint64_t{1} << own % 64);
    for (std::size_t i = 0; i < size_ / sizeof words_[0]; ++i)
      if (words_[i] != 0) return true;
    return false;
  }

  [[nodiscard]] std::size_t size() const { return size_; }  // of the set, in bytes; 0: it could not be read
  [[nodiscard]] const cpu_set_t* set() const { return reinterpret_cast<const cpu_set_t*>(words_); }

  // thread: its number, of one of ours.
  void Give(long thread) const {
    if (size_ != 0) RawCall(SYS_sched_setaffinity, static_cast<std::uintptr_t>(thread), size_, At(words_));
  }

 private:
  static std::uintptr_t At(const void* address) { return reinterpret_cast<std::uintptr_t>(address); }

  std::uint64_t words_[128];  // of as many as a kernel may have: 8192
  std::size_t size_ = 0;
};

}  // namespace nucleus::sys
