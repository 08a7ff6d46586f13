// A network namespace that is made while its owner does something else. The kernel takes longer for one than for the
// other namespaces of a container together; on another processor that costs no time.
//
// A thread makes it, alone: it is held by a descriptor, and a moment later it has its loopback up, for which the thread
// may have to wait while another namespace is taken apart. It belongs to the user namespace of the caller, so it is
// none for a container that has a user namespace of its own.
#pragma once

#include <pthread.h>

#include "actuators/netns/ahead_work.hpp"
#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::netns {

class NamespaceAhead {
 public:
  // Begins, or goes on with what the program's entry point has begun. Signals that the caller holds back are held back
  // in the thread too. closed: by the thread, what the caller would have to wait for.
  explicit NamespaceAhead(sys::Fd closed = {});
  NamespaceAhead(const NamespaceAhead&) = delete;
  NamespaceAhead& operator=(const NamespaceAhead&) = delete;
  ~NamespaceAhead();

  // Waits until it is there. Once.
  Result<sys::Fd> Take();
  // Waits until it is as it should be.
  Result<> Finish();
  // It is not needed: gives it up, once it is there.
  void Drop();

 private:
  void LetGo();
  void Join();

  AheadWork own_;
  AheadWork* work_ = nullptr;
  pthread_t maker_{};
  bool running_ = false;  // the maker
  int error_ = 0;         // why there is no thread
};

}  // namespace nucleus::netns
