// The same work on several threads.
#pragma once

#include <sched.h>

#include <algorithm>
#include <cstddef>
#include <system_error>
#include <thread>
#include <vector>

namespace nucleus {

// That this thread may run on, and those that it starts: taskset(1) or a cpuset may leave it fewer than the machine
// has; sched_getaffinity(2), cpuset(7).
inline std::size_t Processors() {
  cpu_set_t allowed;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return std::max(1U, std::thread::hardware_concurrency());
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&allowed)));
}

// work() on several threads of their own, more the more there is to do, and no more than there are processors; returns
// when all calls have. They may enter namespaces: they end with the call. A thread that the system does not give is one
// less: work() shares out what there is to do, and with none at all nothing is done.
template <class F>
void OnThreads(std::size_t to_do, const F& work, std::size_t most = 8) {
  constexpr std::size_t kOfThread = 32;  // below that many, starting a second one costs more than it saves
  const std::size_t wanted = std::min({Processors(), most, (to_do + kOfThread - 1) / kOfThread});
  std::vector<std::jthread> threads;
  try {
    while (threads.size() < wanted) threads.emplace_back(work);
  } catch (const std::system_error&) {
    // Those that there are will do.
  }
}

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
