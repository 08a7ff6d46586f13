#include "actuators/sys/standard_files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace nucleus::sys {

void FillStandardFiles() {
  // The lowest that is free is the one that is opened.
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
}

Result<> CheckStandardFiles() {
  constexpr std::array kNames{"standard input", "standard output", "standard error"};
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    struct stat status{};
    if (::fstat(fd, &status) != 0) return FailSys("stat", kNames.at(static_cast<std::size_t>(fd)));
    const int flags = ::fcntl(fd, F_GETFL);
    if (!S_ISDIR(status.st_mode) && flags >= 0 && (flags & O_PATH) == 0) continue;
    return Fail(Error::Of(ErrorCode::kInvalid, "hand on", kNames.at(static_cast<std::size_t>(fd)),
                          "it is a directory, or a place in the file system")
                    .Hint("by it the workload could leave its root; give it a file, a pipe or a terminal"));
  }
  return {};
}

}  // namespace nucleus::sys
