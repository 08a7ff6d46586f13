// Changes of files, as inotify(7) tells of them: that something happened, for whom, and nothing more.
//
// What is told of is a set that is given anew whenever it may have changed; what was in the set before stays watched
// without a gap. Names are watched by their directories, so that a file that is replaced, or not there yet, is seen
// too. kinds: bits of the caller's own, which say whom it concerns. One thread at a time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

struct WatchedFiles {
  using Kinds = std::uint32_t;

  // By directory: names in it that are written, made, replaced or removed.
  std::map<std::string, std::map<std::string, Kinds>> names;
  std::map<std::string, Kinds> all_names;  // any name in these directories
  std::map<std::string, Kinds> contents;  // files of the kernel's: somebody writes to them, or it says that they change
  std::map<std::string, Kinds> selves;    // owner, mode, tags; and that it is removed or moved

  // The file that the absolute path leads to, whichever link of it is turned, or directory made: where one is not there
  // its place is watched.
  void AddPath(const std::string& path, Kinds kinds);
};

class FileWatch {
 public:
  static constexpr WatchedFiles::Kinds kEverybody = ~0U;  // something was missed

  // Where the user of this has no instance of inotify left it is blind: nothing is heard, and Want() says why.
  static FileWatch Open();
  [[nodiscard]] bool blind() const { return !fd_; }
  [[nodiscard]] int fd() const { return fd_.get(); }  // readable: there is something

  // From here on these. What is not there is passed over; the error is the first one of another kind, and the rest is
  // watched all the same.
  Result<> Want(const WatchedFiles& wanted);
  // Takes all that there is; whom it concerns.
  WatchedFiles::Kinds Heard();

 private:
  struct Interest {
    std::map<std::string, WatchedFiles::Kinds> names;
    WatchedFiles::Kinds all = 0;
    WatchedFiles::Kinds self = 0;
  };
  FileWatch(Fd fd, int error) : fd_(std::move(fd)), error_(error) {}
  // The place of what is watched of that path; none: it is not there.
  Result<Interest*> Add(const std::string& path, std::uint32_t events, std::map<int, Interest>& interests);

  Fd fd_;
  int error_ = 0;                      // why there is none
  std::map<int, Interest> interests_;  // by watch descriptor
};

}  // namespace nucleus::sys
