#include "actuators/process/channel.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <charconv>

#include "actuators/sys/clone3.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::process {

namespace {

constexpr char kSuccess = '+';
constexpr char kFailure = '-';

// Fields end with a zero byte, which no text of ours contains.
void PutField(std::string& out, std::string_view text) {
  for (const char c : text) out += c == '\0' ? ' ' : c;
  out += '\0';
}

std::optional<std::string_view> TakeField(std::string_view& text) {
  const auto end = text.find('\0');
  if (end == std::string_view::npos) return std::nullopt;
  const auto field = text.substr(0, end);
  text.remove_prefix(end + 1);
  return field;
}

bool TakeNumber(std::string_view& text, int& number) {
  const auto field = TakeField(text);
  return field && std::from_chars(field->data(), field->data() + field->size(), number).ec == std::errc();
}

// A supervisor locks the whole file, a cleaner all but its first byte.
struct flock Range(off_t from, off_t length) {
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = from;
  lock.l_len = length;
  return lock;
}
struct flock WholeFile() {
  return Range(0, 0);
}
struct flock AllButFirstByte() {
  return Range(1, 0);
}
struct flock FirstByte() {
  return Range(0, 1);
}

std::string LockPath(const std::string& directory) {
  return directory + "/" + std::string(kLockFile);
}

// What the kernel says of who has the part of the lock that is a supervisor's. pid: 0 where its holder is outside of
// our pid namespace, -1 where it is an open-file lock, which is not ours.
struct Holding {
  bool held = false;
  pid_t pid = 0;
};
Result<Holding> AskHolder(const sys::Fd& fd, const std::string& path) {
  struct flock lock = FirstByte();
  if (::fcntl(fd.get(), F_GETLK, &lock) != 0) return FailSys("F_GETLK", path);
  return lock.l_type == F_UNLCK ? Holding() : Holding{true, lock.l_pid};
}

// Pid of the supervisor that holds it; 0: nobody.
Result<pid_t> HolderOf(const sys::Fd& fd, const std::string& path) {
  const Holding holding = TRY(AskHolder(fd, path));
  if (!holding.held || holding.pid > 0) return holding.pid;
  if (holding.pid < 0) return Fail(ErrorCode::kConflict, "find the holder of", path, "a process that has no pid");
  return Fail(Error::Of(ErrorCode::kConflict, "find the holder of", path, "it is in another pid namespace")
                  .Hint("call nucleus where the container was started"));
}

// None: there is no such directory, or no lock in it.
Result<sys::Fd> OpenLock(const std::string& path) {
  auto fd = sys::Open(path, O_RDONLY | O_NOFOLLOW);
  if (!fd && (fd.error().sys_errno == ENOENT || fd.error().sys_errno == ENOTDIR)) return sys::Fd();
  return fd;
}

// kLocked: somebody has it, or a part of it.
Result<> Lock(const sys::Fd& fd, struct flock lock, const std::string& directory) {
  if (::fcntl(fd.get(), F_SETLK, &lock) == 0) return {};
  if (errno != EACCES && errno != EAGAIN) return FailSys("F_SETLK", LockPath(directory));
  return Fail(ErrorCode::kLocked, "lock", directory, "another supervisor is at work there");
}

Result<sys::Fd> TakeLock(const std::string& directory, struct flock lock) {
  sys::Fd fd = TRY(sys::Open(LockPath(directory), O_RDWR | O_CREAT | O_NOFOLLOW, 0640));
  TRY(Lock(fd, lock, directory));
  return fd;
}

// Whether it is the lock that others find there, and nobody has removed it.
bool IsInPlace(const sys::Fd& fd, const std::string& directory) {
  struct stat held{}, there{};
  return ::fstat(fd.get(), &held) == 0 && ::stat(LockPath(directory).c_str(), &there) == 0 &&
         held.st_ino == there.st_ino && held.st_dev == there.st_dev;
}

Result<sys::Fd> InPlace(sys::Fd lock, const std::string& directory) {
  if (IsInPlace(lock, directory)) return lock;
  return Fail(ErrorCode::kNotFound, "lock", directory, "it has just been removed");
}

// Whether its lock is a supervisor's, wherever that is.
Result<bool> IsSupervised(const std::string& directory) {
  const std::string path = LockPath(directory);
  const sys::Fd fd = TRY(OpenLock(path));
  return fd && TRY(AskHolder(fd, path)).held;
}

// makes: the directory, where it is missing.
Result<sys::Fd> TakeOnceClean(const std::string& directory, bool makes) {
  constexpr int kTries = 7'500;  // each means that somebody else has just left, or cleans up there
  constexpr ::useconds_t kPause = 2'000;
  for (int i = 0; i < kTries; ++i) {
    if (makes) TRY(sys::MakeDirectories(directory, 0755));
    auto lock = TakeSupervisorLock(directory);
    if (lock && IsInPlace(*lock, directory)) return lock;
    if (lock || (makes && lock.error().sys_errno == ENOENT)) continue;
    if (lock.error().code != ErrorCode::kLocked || TRY(IsSupervised(directory))) return lock;
    ::usleep(kPause);
  }
  return Fail(ErrorCode::kConflict, "claim", directory, "somebody cleans up there without end");
}

}  // namespace

std::string EncodeReady(const Result<>& outcome) {
  if (outcome) return {kSuccess};
  const Error& error = outcome.error();
  std::string out(1, kFailure);
  PutField(out, std::to_string(static_cast<int>(error.code)));
  PutField(out, std::to_string(error.sys_errno));
  for (const std::string& text : {error.operation, error.subject, error.cause, error.hint}) PutField(out, text);
  for (const std::string& text : error.trail) PutField(out, text);
  return out;
}

Result<> DecodeReady(std::string_view message) {
  if (message == std::string_view(&kSuccess, 1)) return {};
  const auto unreadable = [] {
    return Fail(ErrorCode::kSystem, "start", "supervisor", "it ended before it could say whether the workload started");
  };
  if (message.empty() || message.front() != kFailure) return unreadable();
  message.remove_prefix(1);
  Error error;
  int code = 0;
  if (!TakeNumber(message, code) || !TakeNumber(message, error.sys_errno)) return unreadable();
  if (code < 0 || code > static_cast<int>(ErrorCode::kInternal)) return unreadable();
  error.code = static_cast<ErrorCode>(code);
  for (std::string* text : {&error.operation, &error.subject, &error.cause, &error.hint}) {
    const auto field = TakeField(message);
    if (!field) return unreadable();
    *text = *field;
  }
  while (const auto field = TakeField(message)) error.trail.emplace_back(*field);
  return Fail(std::move(error));
}

Result<sys::Fd> TakeSupervisorLock(const std::string& directory) {
  return TakeLock(directory, WholeFile());
}

Result<sys::Fd> TakeCleanersLock(const std::string& directory) {
  return InPlace(TRY(TakeLock(directory, AllButFirstByte())), directory);
}

Result<sys::Fd> TakeCleanersLockIfThere(const std::string& directory) {
  sys::Fd fd = TRY(sys::Open(LockPath(directory), O_RDWR | O_NOFOLLOW));
  TRY(Lock(fd, AllButFirstByte(), directory));
  return InPlace(std::move(fd), directory);
}

Result<sys::Fd> AwaitSupervisorLock(const std::string& directory) {
  return TakeOnceClean(directory, false);
}

Result<sys::Fd> ClaimDirectory(const std::string& directory) {
  return TakeOnceClean(directory, true);
}

Result<std::optional<LockHolder>> FindSupervisor(const std::string& directory) {
  const std::string path = LockPath(directory);
  const sys::Fd fd = TRY(OpenLock(path));
  for (int i = 0; fd && i < 16; ++i) {
    const pid_t pid = TRY(HolderOf(fd, path));
    if (pid == 0) return std::nullopt;
    LockHolder holder{pid, sys::Fd(sys::PidfdOpen(pid))};
    // Still the holder now that we have hold of it: so it is that process and no later one with its number.
    if (holder.pidfd && TRY(HolderOf(fd, path)) == pid) return holder;
  }
  return std::nullopt;
}

Result<pid_t> SupervisorOf(const std::string& directory) {
  const std::string path = LockPath(directory);
  const sys::Fd fd = TRY(OpenLock(path));
  return fd ? HolderOf(fd, path) : Result<pid_t>(0);
}

}  // namespace nucleus::process
