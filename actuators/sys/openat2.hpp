// openat2(2): path resolution that cannot be led astray.
//
// Header only and free of allocation, so that it may be used between clone and exec. Returns a descriptor, or -1 and
// errno. EAGAIN, which the kernel gives when a rename races with a scoped lookup of "..", is tried again.
#pragma once

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace nucleus::sys {

inline int OpenAt2(int dir, const char* path, std::uint64_t flags, std::uint64_t resolve, std::uint64_t mode = 0) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = resolve;
  constexpr int kTries = 128;
  long fd = -1;
  for (int i = 0; i < kTries; ++i) {
    fd = ::syscall(SYS_openat2, dir, path, &how, sizeof(how));
    if (fd >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return static_cast<int>(fd);
}

// A path inside a root directory: absolute links and ".." stay inside it, links of /proc are refused.
inline constexpr std::uint64_t kInRoot = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;

}  // namespace nucleus::sys
