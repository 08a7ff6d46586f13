// How the C library's heap is to be kept by a program that reads topologies and plans. Once, before it has threads.
// mallopt(3).
#pragma once

#include <malloc.h>

namespace nucleus {

inline void SetUpHeap() {
  // Fast bins are all put in order whenever something large is freed: files and plans are many small things, and some
  // large.
  ::mallopt(M_MXFAST, 0);
  // Memory is asked for in large pieces. Those of a thread grow page by page else, with a call for each: sysmalloc()
  // and grow_heap() in glibc's malloc. What is not used costs nothing.
  constexpr int kPiece = 4 << 20;
  ::mallopt(M_TOP_PAD, kPiece);
}

}  // namespace nucleus
