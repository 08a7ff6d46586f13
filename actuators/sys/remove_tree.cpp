// RemoveTree: what is removed may have been made by a hostile workload, so names are only ever used relative to a
// directory that is held open, links are removed and not followed, and mounts (bind mounts of the same file system
// included) are not entered: openat2(2) with RESOLVE_NO_XDEV.
#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cstring>
#include <memory>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

// Deeper directories are moved up to the top first: a tree may be nested deeper than there are descriptors.
constexpr unsigned kMaxDepth = 64;

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

class Remover {
 public:
  Remover(int top, std::string path) : top_(top), path_(std::move(path)) {}

  // Empties the directory `fd`. Repeats until a pass removes nothing: what readdir(3) shows of a directory that
  // changes meanwhile is unspecified, and deep directories are moved to the top.
  Result<> Empty(Fd fd, unsigned depth) {
    Dir dir(::fdopendir(fd.get()));
    if (!dir) return FailSys("open directory", path_);
    const int at = fd.release();
    for (bool progress = true; progress;) {
      progress = false;
      ::rewinddir(dir.get());
      while (true) {
        errno = 0;
        const dirent* entry = ::readdir(dir.get());
        if (entry == nullptr) {
          if (errno != 0) return FailSys("read directory", path_);
          break;
        }
        if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
        TRY(Remove(at, entry->d_name, depth));
        progress = true;
      }
    }
    return {};
  }

 private:
  Result<> Remove(int at, const char* name, unsigned depth) {
    if (::unlinkat(at, name, 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return FailSys("unlink", path_ + "/.../" + name);
    const int err = errno;
    if (::unlinkat(at, name, AT_REMOVEDIR) == 0) return {};
    if (errno == ENOTDIR) return FailSys("unlink", path_ + "/.../" + name, err);
    if (errno != ENOTEMPTY && errno != EEXIST) return FailSys("rmdir", path_ + "/.../" + name);
    if (depth >= kMaxDepth) return MoveUp(at, name);

    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
    Fd child(static_cast<int>(::syscall(SYS_openat2, at, name, &how, sizeof how)));
    if (!child) {
      Error error = Error::Sys("open directory", path_ + "/.../" + name);
      if (error.sys_errno == EXDEV) error.cause = "something is mounted there";
      return Fail(std::move(error));
    }
    TRY(Empty(std::move(child), depth + 1));
    if (::unlinkat(at, name, AT_REMOVEDIR) != 0 && errno != ENOENT) return FailSys("rmdir", path_ + "/.../" + name);
    return {};
  }

  Result<> MoveUp(int at, const char* name) {
    while (true) {
      const std::string target = ".nucleus-removed-" + std::to_string(moved_++);
      if (::renameat2(at, name, top_, target.c_str(), RENAME_NOREPLACE) == 0) return {};
      if (errno != EEXIST) return FailSys("rename", path_ + "/.../" + name);
    }
  }

  int top_;
  std::string path_;
  std::uint64_t moved_ = 0;
};

}  // namespace

Result<> RemoveTreeAt(int parent, const std::string& name, const std::string& path) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT || errno == ENOTDIR) return {};
  if (errno != EISDIR && errno != EPERM) return FailSys("unlink", path);
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0) return {};
  if (errno != ENOTEMPTY && errno != EEXIST) return FailSys("rmdir", path);
  Fd top(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!top) return FailSys("open", path);
  const Fd held(::fcntl(top.get(), F_DUPFD_CLOEXEC, 3));
  if (!held) return FailSys("dup", path);
  TRY(Remover(held.get(), path).Empty(std::move(top), 0));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return FailSys("rmdir", path);
  return {};
}

Result<> RemoveTree(const std::string& path) {
  return RemoveTreeAt(AT_FDCWD, path, path);
}

}  // namespace nucleus::sys
