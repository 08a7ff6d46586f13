// The same work on several threads. Standard library only.
#pragma once

#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace nucleus {

// Calls work() on this thread and on so many others, and returns when all calls have. A thread that the system does not
// give (pthread_create(3), EAGAIN) is one less: work() has to share out what there is to do among those who come.
template <class F>
void RunTogether(std::size_t others, const F& work) {
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < others) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // Those that there are will do.
  }
  work();
}

}  // namespace nucleus
