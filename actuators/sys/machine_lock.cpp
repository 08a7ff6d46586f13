#include "actuators/sys/machine_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"

namespace nucleus::sys {

namespace {

constexpr const char* kPath = "/run/nucleus-machine.lock";
constexpr std::chrono::seconds kPatience{30};
constexpr std::chrono::milliseconds kRest{10};  // between tries: it is had for milliseconds

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
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (::fcntl(lock->get(), F_OFD_SETLK, &range) != 0) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return FailSys("lock", kPath);
    if (std::chrono::steady_clock::now() >= end)
      return Fail(
          Error::Of(ErrorCode::kLocked, "lock", kPath, "another nucleus of this machine has had it for half a minute")
              .Hint("`lslocks` and `fuser -v " + std::string(kPath) + "` say who; try again when it has ended"));
    std::this_thread::sleep_for(kRest);
  }
  return lock;
}

}  // namespace nucleus::sys
