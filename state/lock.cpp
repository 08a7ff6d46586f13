// ProjectLock: flock(2) belongs to the open file, so the kernel gives it back when its holder ends, however that
// happens. The descriptor is closed by exec; a child that only forks and lives on must close it itself.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <thread>

#include "state/permissions.hpp"
#include "state/store.hpp"

namespace nucleus::state {

namespace {

std::string Holder(int fd) {
  std::array<char, 512> line{};
  const ssize_t got = ::pread(fd, line.data(), line.size(), 0);
  return ParseLockHolder({line.data(), got > 0 ? static_cast<std::size_t>(got) : 0}).text;
}

bool IsAt(int fd, const std::string& path) {
  struct stat held{}, named{};
  return ::fstat(fd, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
}

// The name is for others to read; a file system that is full does not keep anybody from making room on it.
void SignFile(int fd) {
  const std::string text = LockHolderLine();
  if (::ftruncate(fd, 0) != 0) return;
  [[maybe_unused]] const auto written = ::pwrite(fd, text.data(), text.size(), 0);
}

}  // namespace

Result<ProjectLock> ProjectLock::Open(const std::string& path) {
  ProjectLock lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (lock.fd_ < 0) return FailSys("open", path);
  return lock;
}

void ProjectLock::Remove(const Directories& directories, std::string_view project) {
  if (fd_ >= 0) ::unlink(directories.ProjectLock(project).c_str());
}

Result<ProjectLock> ProjectLock::Take(const Directories& directories, std::string_view project,
                                      const LockPatience& patience) {
  const std::string path = directories.ProjectLock(project);
  const FileAccess access = FileAccess::Find();
  TRY(PrepareDirectory(directories.runtime, access));
  TRY(PrepareDirectory(path.substr(0, path.rfind('/')), access));
  ProjectLock lock = TRY(Open(path));
  const auto deadline = std::chrono::steady_clock::now() + patience.time;
  auto wait = std::chrono::milliseconds(1);
  const std::string subject = "project " + std::string(project);
  const auto held = [&] { return "held by " + Holder(lock.fd_); };
  while (true) {
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) {
      // Its last holder may have removed it: two would hold two files of one name.
      if (IsAt(lock.fd_, path)) break;
      lock = TRY(Open(path));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EWOULDBLOCK) return FailSys("flock", path);
    if (patience.Interrupted()) return Fail(ErrorCode::kInterrupted, "lock", subject, "interrupted, " + held());
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return Fail(
          Error::Of(ErrorCode::kLocked, "lock", subject, held()).Hint("wait for it to end, or give --lock-timeout"));
    }
    std::this_thread::sleep_for(std::min(wait, left));
    wait = std::min(wait * 2, std::chrono::milliseconds(50));
  }
  SignFile(lock.fd_);
  return lock;
}

bool ProjectLock::IsHeld(const Directories& directories, std::string_view project) {
  struct stat st{};
  if (::stat(directories.ProjectLock(project).c_str(), &st) != 0) return errno != ENOENT;
  std::ifstream locks("/proc/locks");
  const std::string inode = ":" + std::to_string(st.st_ino) + " ";
  for (std::string line; std::getline(locks, line);) {
    if (line.find(" FLOCK ") != std::string::npos && line.find(inode) != std::string::npos) return true;
  }
  return false;
}

ProjectLock::~ProjectLock() {
  if (fd_ >= 0) ::close(fd_);
}

ProjectLock::ProjectLock(ProjectLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

ProjectLock& ProjectLock::operator=(ProjectLock&& other) noexcept {
  if (this != &other) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

}  // namespace nucleus::state
