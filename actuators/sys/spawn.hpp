// posix_spawn(3) for a helper: what it is given, and nothing else of ours. Header only.
#pragma once

#include <signal.h>
#include <spawn.h>

namespace nucleus::sys {

// In the order in which they are added. Descriptors that are given lie above those that they are given as.
class FileActions {
 public:
  FileActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  void Give(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  void CloseFrom(int first) { ::posix_spawn_file_actions_addclosefrom_np(&actions_, first); }
  void Open(int as, const char* path, int flags) { ::posix_spawn_file_actions_addopen(&actions_, as, path, flags, 0); }
  [[nodiscard]] const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

// Signals that the caller holds back are no matter of the new process, and what it ignores neither, but for `ignored`.
class SpawnAttributes {
 public:
  explicit SpawnAttributes(int ignored = 0) {
    ::posix_spawnattr_init(&attributes_);
    sigset_t none;
    ::sigemptyset(&none);
    ::posix_spawnattr_setsigmask(&attributes_, &none);
    sigset_t all;
    ::sigfillset(&all);
    if (ignored != 0) ::sigdelset(&all, ignored);
    ::posix_spawnattr_setsigdefault(&attributes_, &all);
    // A session of its own: what the terminal sends is for the workload.
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSID);
  }
  ~SpawnAttributes() { ::posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;
  [[nodiscard]] const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

}  // namespace nucleus::sys
