#include "actuators/mounts/directory.hpp"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <string_view>

#include "actuators/sys/mount_api.hpp"

namespace nucleus::mounts {

namespace {

constexpr int kWalk = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Why a component that is there cannot be walked through.
std::unexpected<Error> NotADirectory(int parent, const std::string& name, const std::string& path, int err) {
  struct stat st{};
  if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
    return Fail(Error::Of(ErrorCode::kInvalid, "open", path, "'" + name + "' is a symbolic link, which is not followed")
                    .Hint("write the path that it leads to"));
  }
  if (err != ENOTDIR) return FailSys("open", path, err);
  return Fail(Error::Of(ErrorCode::kInvalid, "open", path, "'" + name + "' is not a directory")
                  .Hint("move it away: what is in the way is nothing that nucleus made"));
}

// Takes the next component off `rest`; empty at the end.
std::string NextComponent(std::string_view& rest) {
  while (rest.starts_with('/')) rest.remove_prefix(1);
  const auto name = rest.substr(0, rest.find('/'));
  rest.remove_prefix(name.size());
  return std::string(name);
}

Result<> CheckAbsolute(const std::string& path) {
  if (path.starts_with('/') && path.find("/../") == std::string::npos && !path.ends_with("/..")) return {};
  return Fail(ErrorCode::kInvalid, "open", path, "not an absolute path without '..'");
}

}  // namespace

Result<std::optional<sys::Fd>> OpenDirectory(const std::string& path) {
  TRY(CheckAbsolute(path));
  sys::Fd at(::open("/", kWalk));
  if (!at) return FailSys("open", "/");
  std::string_view rest = path;
  for (std::string name = NextComponent(rest); !name.empty(); name = NextComponent(rest)) {
    sys::Fd next(::openat(at.get(), name.c_str(), kWalk));
    if (!next && errno == ENOENT) return std::nullopt;
    if (!next) return NotADirectory(at.get(), name, path, errno);
    at = std::move(next);
  }
  return at;
}

namespace {

Result<Made> MakeDirectoryOnce(const std::string& path) {
  sys::Fd at(::open("/", kWalk));
  if (!at) return FailSys("open", "/");
  bool created = false;
  std::string_view rest = path;
  for (std::string name = NextComponent(rest); !name.empty(); name = NextComponent(rest)) {
    const bool last = rest.find_first_not_of('/') == std::string_view::npos;
    created = ::mkdirat(at.get(), name.c_str(), last ? 0700 : 0755) == 0;
    if (!created && errno != EEXIST) return FailSys("mkdir", path);
    sys::Fd next(::openat(at.get(), name.c_str(), last ? O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC : kWalk));
    if (!next) return NotADirectory(at.get(), name, path, errno);
    at = std::move(next);
  }
  return Made{.fd = std::move(at), .created = created};
}

}  // namespace

Result<Made> MakeDirectory(const std::string& path) {
  TRY(CheckAbsolute(path));
  // As sys::MakeDirectories: whoever empties a shared directory removes it, also between two of these calls.
  constexpr int kAttempts = 1000;
  for (int attempt = 1;; ++attempt) {
    auto made = MakeDirectoryOnce(path);
    if (made || made.error().sys_errno != ENOENT || attempt == kAttempts) return made;
  }
}

Result<DirectoryState> StateOf(const sys::Fd& directory, const std::string& path) {
  struct stat st{};
  if (::fstat(directory.get(), &st) != 0) return FailSys("stat", path);
  DirectoryState state{.uid = st.st_uid, .gid = st.st_gid, .mode = st.st_mode & 07777U};
  struct statfs fs{};
  if (::fstatfs(directory.get(), &fs) != 0) return FailSys("statfs", path);
  sys::MountIdentity identity;
  if (!sys::IdentifyMount(directory.get(), identity)) return FailSys("statx", path);
  state.tmpfs_mount = fs.f_type == TMPFS_MAGIC && identity.is_mount_root;
  state.tmpfs_size = static_cast<std::uint64_t>(fs.f_blocks) * static_cast<std::uint64_t>(fs.f_bsize);
  return state;
}

}  // namespace nucleus::mounts
