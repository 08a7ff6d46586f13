// A network namespace that is made while its owner does something else. The kernel takes longer for one than for the
// other namespaces of a container together; on another processor that costs no time.
//
// A thread makes it, alone: it has its loopback up and is held by a descriptor. It belongs to the user namespace of
// the caller, so it is none for a container that has a user namespace of its own.
#pragma once

#include <pthread.h>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::netns {

class NamespaceAhead {
 public:
  // Begins. Signals that the caller holds back are held back in the thread too.
  NamespaceAhead();
  NamespaceAhead(const NamespaceAhead&) = delete;
  NamespaceAhead& operator=(const NamespaceAhead&) = delete;
  ~NamespaceAhead();

  // Waits until it is there. Once.
  Result<sys::Fd> Take();

 private:
  void Make();
  void Join();

  pthread_t maker_{};
  bool running_ = false;
  // The thread's, until it has been joined.
  sys::Fd made_;
  const char* operation_ = "";
  const char* subject_ = "";
  int errno_ = 0;
};

}  // namespace nucleus::netns
