// What is done for a namespace that is made ahead, and the thread that does it before the C library is up.
//
// Private to ahead.cpp and the entry point of the program. System calls only: nothing here uses the C library, a
// constant that holds an address, or memory of a thread of its own.
#pragma once

#include <atomic>
#include <cstdint>

namespace nucleus::netns {

struct AheadWork {
  enum class Step : std::uint8_t { kNone, kUnshare, kOpen, kRaise };
  struct Failure {
    Step step = Step::kNone;
    int error = 0;
  };

  int closed = -1;  // by the thread; -1: nothing
  // Of futex(2). 1: the two below it are said.
  std::atomic<std::uint32_t> made = 0;
  int file = -1;  // the namespace
  Failure not_made;
  Failure not_raised;  // said when the thread ends
  // Not 0 while the thread of Begin() is there: CLONE_CHILD_CLEARTID, set_tid_address(2).
  std::atomic<std::uint32_t> thread = 0;
};

// The path that a namespace of the calling thread is opened by.
inline constexpr char kOwnNamespace[] = "/proc/thread-self/ns/net";

// On a thread of its own, which is in the namespace from here on.
void Work(AheadWork& work);

// Has a thread do it, that holds back all signals. Called by the entry point of the program, before there are other
// threads. closed: is taken over. Where there is no thread to be had nothing has been begun. Where sys::CloneOnto()
// can.
extern "C" [[gnu::visibility("hidden")]] void NucleusBeginAhead(int closed);

// What was begun so; null: nothing. Once.
AheadWork* TakeBegun();

}  // namespace nucleus::netns
