// What wakes a watch, and how it waits: files, the kernel's events of what a project has, signals. Everything here only
// says that it is worth looking again; what is different, and whether it matters, the planner says.
//
// Of each service: its directory (status, names, and the lock that closes with its supervisor), its control group and
// limits, what goes on in its network namespace. Of the project: links and rules on the machine, mounts in its
// directories, volumes. In the namespaces it was opened in; one thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include "actuators/netns/net_watch.hpp"
#include "actuators/sys/fd.hpp"
#include "actuators/sys/file_watch.hpp"
#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"
#include "spec/core/names.hpp"
#include "spec/types.hpp"

namespace nucleus::cli {

class WatchSources {
 public:
  using Millis = std::int64_t;
  static Millis Now() {
    using std::chrono::milliseconds;
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }

  // wake: readable where a signal has come; not ours.
  static Result<WatchSources> Open(const Directories& directories, std::string project, int wake);

  // What to be told of from here on. files: those that the desired state was read from; DIRECTORY/* is all there.
  // topology: null where nothing of the machine matters. The error is the first; the rest is watched all the same.
  Result<> Want(const std::set<std::string>& files, const spec::Topology* topology);

  struct Heard {
    bool desired = false;  // a file that the desired state was read from
    bool store = false;    // somebody has changed what is applied, of any project
    bool machine = false;
    bool machine_gone = false;  // an ordinary user's: what it is in has ended
  };
  // What there is, once there is something, or the time is over; a signal ends it too. None: for ever.
  Result<Heard> Wait(std::optional<Millis> until);

 private:
  WatchSources(Directories directories, std::string project, sys::FileWatch files, netns::NetWatch network);
  Result<> Add(int fd, std::uint32_t events);
  [[nodiscard]] bool MountsChanged();

  Directories directories_;
  std::string project_;
  sys::FileWatch files_;
  netns::NetWatch network_;
  sys::Fd poll_, mounts_;
  sys::Fd machine_;  // pidfd of the program that keeps an ordinary user's machine; none: of root
  Digest mounted_;
  Millis look_at_ = 0;  // where nobody can be told of files: when all of them count as changed
};

}  // namespace nucleus::cli
