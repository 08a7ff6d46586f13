// What a project has of the network, looked at before it is known what will be asked about it: while the file is read
// and the question made, another processor would have nothing to do. The machine's links come first, as soon as there
// is a file to read; then, when the project's name is known, what it has pinned. Internal to actuators/netns.
//
// Reads only. The threads end with the object, however far they have come.
#pragma once

#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "actuators/netns/host_view.hpp"
#include "actuators/netns/inside.hpp"

namespace nucleus::netns {

class EarlyLook {
 public:
  // Begins, in the network namespace of the calling thread.
  explicit EarlyLook(Directories directories);
  ~EarlyLook();
  EarlyLook(const EarlyLook&) = delete;
  EarlyLook& operator=(const EarlyLook&) = delete;

  void Of(const std::string& project);                                   // once
  [[nodiscard]] const std::string& project() const { return project_; }  // "": not known yet

  struct Found {
    std::optional<HostView> host;           // none: nobody has looked, or too long ago
    std::vector<Place> places;              // of every service that has a pin, but for egress rules
    std::vector<std::optional<Seen>> seen;  // of each; none: nobody has looked
  };
  // Lends a hand until all is looked at. Once, of a project; the question has come.
  Found Take();

 private:
  void Begin();
  void Work();

  Directories directories_;
  std::string project_;
  Result<NamespaceId> own_;
  std::chrono::steady_clock::time_point begun_;
  Found found_;
  std::atomic<std::size_t> next_ = 0;
  std::atomic<bool> given_up_ = false;
  std::promise<void> named_;  // the project, or nothing is to be looked at any more
  std::promise<void> known_;  // what there is to look at
  std::jthread first_;        // the last: it uses all of these
};

// What is seen of a place where as much was asked for as `scope` says, made of what an early look has found there; none
// where it has looked for something else.
std::optional<Seen> AsAsked(Seen seen, const Scope& looked, const Scope& scope);

}  // namespace nucleus::netns
