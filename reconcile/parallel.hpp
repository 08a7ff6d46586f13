// Calls a function for every index, in several threads where there are many. The calls must not depend on each other;
// the result is then the same as that of a loop. Or for every piece of them, where neighbours have something in common.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>

#include "spec/core/threads.hpp"

namespace nucleus::reconcile {

inline constexpr std::size_t kWorthAThread = 500;

// call(begin, end)
template <class F>
void ForEachPieceInParallel(std::size_t count, const F& call) {
  constexpr std::size_t kPiece = 64;  // small: the costly ones stand together
  const std::size_t most = std::min<std::size_t>(8, Processors());
  const std::size_t threads = std::clamp<std::size_t>(count / kWorthAThread, 1, most);
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t begin = next.fetch_add(kPiece); begin < count; begin = next.fetch_add(kPiece))
      call(begin, std::min(count, begin + kPiece));
  };
  RunTogether(threads - 1, work);
}

template <class F>
void ForEachInParallel(std::size_t count, const F& call) {
  ForEachPieceInParallel(count, [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i) call(i);
  });
}

// Two functions that do not depend on each other, at the same time where it is worth that.
template <class A, class B>
void DoBoth(bool worth, const A& a, const B& b) {
  std::atomic<int> next = 0;
  RunTogether(worth ? 1 : 0, [&] {
    for (int i = next++; i < 2; i = next++) i == 0 ? a() : b();
  });
}

}  // namespace nucleus::reconcile
