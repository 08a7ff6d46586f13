// A word that a parent and a child that shares its memory have beside the channel between them: who waits for the other
// looks at it for a moment before it sleeps. What is waited for takes less time than waking a processor that has gone
// idle. What is said is said over the channel all the same.
#pragma once

#include <time.h>

#include <atomic>
#include <cstdint>

namespace nucleus::process {

class SharedWord {
 public:
  void Say() { said_.store(1, std::memory_order_release); }
  // Until it is said, or a moment is over. System calls are made by neither.
  void LookFor() const {
    constexpr std::int64_t kMoment = 200'000;  // nanoseconds
    const std::int64_t begin = Now();
    while (said_.load(std::memory_order_acquire) == 0 && Now() - begin < kMoment) {
#if defined(__x86_64__)
      for (int i = 0; i < 8; ++i) __builtin_ia32_pause();
#endif
    }
  }

 private:
  // clock_gettime(2), by vdso(7).
  static std::int64_t Now() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
  }
  std::atomic<std::uint32_t> said_ = 0;
};

}  // namespace nucleus::process
