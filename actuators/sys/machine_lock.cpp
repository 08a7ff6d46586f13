#include "actuators/sys/machine_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"

namespace nucleus::sys {

namespace {

constexpr const char* kPath = "/run/nucleus-machine.lock";

bool IsMachinesRoot() {
  if (::geteuid() != 0) return false;
  const auto uids = OwnUids();
  return uids && IsWhole(*uids);
}

}  // namespace

Result<Fd> TakeMachineLock(MachineLock which) {
  if (!IsMachinesRoot()) return Fd();
  auto lock = Open(kPath, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (!lock && (lock.error().sys_errno == EROFS || lock.error().sys_errno == ENOENT)) return Fd();
  if (!lock) return lock;
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(which);
  range.l_len = 1;
  while (::fcntl(lock->get(), F_OFD_SETLKW, &range) != 0) {
    if (errno != EINTR) return FailSys("lock", kPath);
  }
  return lock;
}

}  // namespace nucleus::sys
