#include "actuators/sys/machine_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"

namespace nucleus::sys {

namespace {

constexpr const char* kPath = "/run/nucleus-machine.lock";
constexpr std::chrono::milliseconds kRest{10};  // between tries: it is had for milliseconds
constexpr std::size_t kLineSize = 512;          // of each lock's holder, one after the other

bool IsMachinesRoot() {
  if (::geteuid() != 0) return false;
  const auto uids = OwnUids();
  return uids && IsWhole(*uids);
}

off_t LineOf(MachineLock which) {
  return static_cast<off_t>(which) * static_cast<off_t>(kLineSize);
}

// A file system that is full keeps nobody from going on.
void Sign(const Fd& file, MachineLock which, std::string_view project) {
  std::array<char, kLineSize> line{};  // what is shorter than the line before it covers that
  const std::string text = LockHolderLine(project);
  std::ranges::copy_n(text.begin(), static_cast<std::ptrdiff_t>(std::min(text.size(), line.size())), line.begin());
  [[maybe_unused]] const auto written = ::pwrite(file.get(), line.data(), line.size(), LineOf(which));
}

// Who was killed has left its name, and who came after it may not have written its own.
Error Held(const Fd& file, MachineLock which, const std::string& path) {
  std::array<char, kLineSize> line{};
  const ssize_t got = ::pread(file.get(), line.data(), line.size(), LineOf(which));
  const auto holder = ParseLockHolder({line.data(), got > 0 ? static_cast<std::size_t>(got) : 0});
  constexpr std::string_view kAdvice = "try again when it has ended; `apply` and its like wait for --lock-timeout";
  if (holder.pid != 0 && (::kill(holder.pid, 0) == 0 || errno == EPERM))
    return Error::Of(ErrorCode::kLocked, "lock", path, "held by " + holder.text).Hint(std::string(kAdvice));
  return Error::Of(ErrorCode::kLocked, "lock", path, "held by another process")
      .Hint("`lslocks` and `fuser -v " + path + "` say by which; " + std::string(kAdvice));
}

struct flock Range(std::uint64_t first, std::uint64_t count) {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(first);
  range.l_len = static_cast<off_t>(count);
  return range;
}

using Clock = std::chrono::steady_clock;

Result<> Wait(const Fd& file, MachineLock which, const std::string& path, const LockWait& wait, Clock::time_point end) {
  auto range = Range(static_cast<std::uint64_t>(which), 1);
  while (::fcntl(file.get(), F_OFD_SETLK, &range) != 0) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) return FailSys("lock", path);
    if (wait.patience.Interrupted())
      return Fail(ErrorCode::kInterrupted, "lock", path, "interrupted, " + Held(file, which, path).cause);
    if (Clock::now() >= end) return Fail(Held(file, which, path));
    std::this_thread::sleep_for(kRest);
  }
  Sign(file, which, wait.project);
  return {};
}

// Not by closing alone: a child that another thread has just started may still have the descriptor.
void GiveBack(Fd& file) {
  auto all = Range(0, 0);
  all.l_type = F_UNLCK;
  if (file) ::fcntl(file.get(), F_OFD_SETLK, &all);
  file.reset();
}

Result<Fd> OpenLock(const std::string& path) {
  return Open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
}

// Empty where there is nothing to share.
Result<Fd> OpenMachines() {
  if (!IsMachinesRoot()) return Fd();
  auto lock = OpenLock(kPath);
  if (!lock && (lock.error().sys_errno == EROFS || lock.error().sys_errno == ENOENT)) return Fd();
  return lock;
}

}  // namespace

HostLock& HostLock::operator=(HostLock&& other) noexcept {
  HostLock old(std::move(*this));
  turn_ = std::move(other.turn_);
  machine_ = std::move(other.machine_);
  directory_ = std::move(other.directory_);
  return *this;
}

HostLock::~HostLock() {
  GiveBack(directory_);
  GiveBack(machine_);
}

Result<HostLock> TakeMachineLock(MachineLock which, const LockWait& wait) {
  static std::array<std::mutex, 3> turns;
  const auto end = Clock::now() + wait.patience.time;
  HostLock lock;
  lock.turn_ = std::unique_lock(turns[static_cast<std::size_t>(which)]);
  lock.machine_ = TRY(OpenMachines());
  if (lock.machine_) TRY(Wait(lock.machine_, which, kPath, wait, end));
  return lock;
}

Result<HostLock> TakeHostLock(MachineLock which, const std::string& path, const LockWait& wait) {
  const auto end = Clock::now() + wait.patience.time;
  auto lock = TRY(TakeMachineLock(which, wait));
  if (const auto slash = path.rfind('/'); slash != 0 && slash != std::string::npos)
    TRY(MakeDirectories(path.substr(0, slash), 0755));
  lock.directory_ = TRY(OpenLock(path));
  TRY(Wait(lock.directory_, which, path, wait, end));
  return lock;
}

Result<bool> AddressClaims::Claim(std::uint32_t first, std::uint64_t count) {
  if (!file_) file_ = TRY(OpenMachines());
  if (!file_) return true;
  // Each namespace has all addresses of its own: its number is above them.
  struct stat network{};
  if (::stat("/proc/self/ns/net", &network) != 0) return FailSys("stat", "/proc/self/ns/net");
  const std::uint64_t number = network.st_ino & 0x7fff'ffff;
  auto range = Range(number << 32 | first, count);
  if (::fcntl(file_.get(), F_OFD_SETLK, &range) == 0) return true;
  return errno == EAGAIN || errno == EACCES ? Result<bool>(false) : FailSys("lock", kPath);
}

}  // namespace nucleus::sys
