// Calls a function for every index, in several threads where there are many. The calls must not depend on each other;
// the result is then the same as that of a loop.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>

#include "spec/core/threads.hpp"

namespace nucleus::reconcile {

template <class F>
void ForEachInParallel(std::size_t count, const F& call) {
  constexpr std::size_t kWorthAThread = 500;
  constexpr std::size_t kPiece = 64;  // small: the costly ones stand together
  const std::size_t most = std::max(1u, std::min(8u, std::thread::hardware_concurrency()));
  const std::size_t threads = std::clamp<std::size_t>(count / kWorthAThread, 1, most);
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t begin = next.fetch_add(kPiece); begin < count; begin = next.fetch_add(kPiece)) {
      for (std::size_t i = begin; i < std::min(count, begin + kPiece); ++i) call(i);
    }
  };
  RunTogether(threads - 1, work);
}

}  // namespace nucleus::reconcile
