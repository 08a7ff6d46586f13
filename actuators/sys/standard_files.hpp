// Standard input, output and error of a program that hands them on to a container.
#pragma once

#include <sys/types.h>

#include <array>
#include <utility>

#include "spec/core/error.hpp"

namespace nucleus::sys {

// Those that we were started without are /dev/null from here on: what is opened next would else be one of them, and in
// the hands of the workload. Before anything is opened; needs no run time.
void FillStandardFiles();

// Our standard files in the hands of a container, and as they were once this goes: others have the same open files, and
// O_NONBLOCK is theirs too; fcntl(2), F_SETFL.
class LentFiles {
 public:
  // A directory, or what was opened as a place only (O_PATH), would lead whoever has it out of its root:
  // CVE-2024-21626.
  //
  // uid: of whom has them, who may open /dev/stdout anew where that is a pipe of another user's: in the directions that
  // the descriptor has, and for as long as the pipe is there. Where both its ends are handed on, both ways are open at
  // either. Not so of a FIFO, which has a name by which others would reach it.
  static Result<LentFiles> Make(uid_t uid);
  ~LentFiles();
  LentFiles(LentFiles&& other) noexcept : flags_(std::exchange(other.flags_, kNone)) {}
  LentFiles& operator=(LentFiles&&) = delete;

 private:
  using Flags = std::array<int, 3>;
  static constexpr Flags kNone{-1, -1, -1};
  LentFiles() = default;

  Flags flags_ = kNone;
};

}  // namespace nucleus::sys
