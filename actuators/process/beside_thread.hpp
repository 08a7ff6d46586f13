// A thread that does one thing beside its owner, and then stands still and lends its stack and its own memory.
//
// They are lent to a child that shares the memory of its parent until it executes something: nothing of it is copied,
// neither when it is made nor when one of both writes to it, nor is a copy taken apart when it executes. Such a child
// has to have a stack of its own, and what the C library keeps for a thread (errno): clone(2), CLONE_VM, CLONE_SETTLS.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "spec/core/error.hpp"

namespace nucleus::process {

// For one child at a time, which has executed or is gone when the next one comes.
struct Loan {
  std::uintptr_t stack = 0;  // its lowest address
  std::size_t stack_size = 0;
  std::uintptr_t memory = 0;  // the thread pointer
  bool may_look = false;      // there is more than one processor: who waits for the other may look for a moment
};

class BesideThread {
 public:
  // Begins. Where there is no thread to be had it is done when it is waited for.
  explicit BesideThread(std::function<Result<>()> work);
  BesideThread(const BesideThread&) = delete;
  BesideThread& operator=(const BesideThread&) = delete;
  ~BesideThread();

  // Waits until it is done; the first time what came of it, then success.
  Result<> Get();
  // Once it is done, as long as this lives. Null: there is none, or a child that shares our memory would change what is
  // ours: the score of the OOM killer, which processes of one memory have together.
  [[nodiscard]] const Loan* loan() const { return loan_.stack_size == 0 ? nullptr : &loan_; }

  // Nothing more is lent. The thread ends when it next looks, which is soon, and costs who calls this nothing.
  void TakeBack();

 private:
  void Run();

  std::function<Result<>()> work_;  // none: it has been waited for
  Result<> result_;
  Loan loan_;
  std::atomic<std::uint32_t> done_ = 0, ends_ = 0;  // of futex(2)
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace nucleus::process
