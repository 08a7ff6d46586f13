#include "actuators/sys/standard_files.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <string>

#include "actuators/sys/fd.hpp"

namespace nucleus::sys {

namespace {

// A pipe of pipe(2).
bool HasNoName(int fifo) {
  struct statfs where{};
  return ::fstatfs(fifo, &where) == 0 && where.f_type == PIPEFS_MAGIC;
}

// To whoever has it, what the descriptor has: by /proc/PID/fd each end of a pipe is a way to both.
mode_t ModeOf(int flags) {
  const int access = flags & O_ACCMODE;
  return (access == O_WRONLY ? 0 : S_IRGRP | S_IROTH) | (access == O_RDONLY ? 0 : S_IWGRP | S_IWOTH);
}

// Its two ends may come by here at a time, and neither may take away what the other has given: by a lock of its own
// open file, for the descriptor's is the caller's as well. flock(2). Who holds that for long is not waited for.
void MayBeOpenedAnew(int pipe, int flags) {
  constexpr int kTries = 100, kPauseUs = 1000;
  const Fd own(::open(("/proc/self/fd/" + std::to_string(pipe)).c_str(),
                      (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  for (int i = 0; own && i < kTries && ::flock(own.get(), LOCK_EX | LOCK_NB) != 0; ++i) ::usleep(kPauseUs);
  struct stat status{};
  if (::fstat(pipe, &status) == 0) (void)::fchmod(pipe, (status.st_mode & ALLPERMS) | ModeOf(flags));
}

}  // namespace

void FillStandardFiles() {
  // The lowest that is free is the one that is opened.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
}

Result<LentFiles> LentFiles::Make(uid_t uid) {
  constexpr std::array kNames{"standard input", "standard output", "standard error"};
  LentFiles lent;
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const auto i = static_cast<std::size_t>(fd);
    struct stat status{};
    if (::fstat(fd, &status) != 0) return FailSys("stat", kNames.at(i));
    const int flags = ::fcntl(fd, F_GETFL);
    if (S_ISDIR(status.st_mode) || flags < 0 || (flags & O_PATH) != 0)
      return Fail(
          Error::Of(ErrorCode::kInvalid, "hand on", kNames.at(i), "it is a directory, or a place in the file system")
              .Hint("by it the workload could leave its root; give it a file, a pipe or a terminal"));
    lent.flags_.at(i) = flags;
    // Not its owner: several may have it at a time, each for another user. Where it is neither ours nor are we root, it
    // is had but cannot be opened anew.
    if (status.st_uid != uid && S_ISFIFO(status.st_mode) && HasNoName(fd)) MayBeOpenedAnew(fd, flags);
  }
  return lent;
}

LentFiles::~LentFiles() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    const int flags = flags_.at(static_cast<std::size_t>(fd));
    if (flags >= 0 && ::fcntl(fd, F_GETFL) != flags) ::fcntl(fd, F_SETFL, flags);
  }
}

}  // namespace nucleus::sys
