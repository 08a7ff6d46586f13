#include "state/permissions.hpp"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <memory>
#include <string_view>
#include <vector>

namespace nucleus::state {

namespace {

// Opens to the group what is still private to us; touches nothing that somebody else has set up. By path, for a
// descriptor of a database must not be closed behind SQLite's back: that would drop its locks, fcntl_locking(2).
Result<> Settle(const std::string& path, mode_t closed, mode_t open, const FileAccess& access) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return FailSys("stat", path);
  if (S_ISLNK(st.st_mode)) return {};  // set up by hand
  if (!access.group || st.st_uid != ::geteuid() || (st.st_mode & 07777) != closed) return {};
  if (::lchown(path.c_str(), static_cast<uid_t>(-1), *access.group) != 0) return FailSys("chown", path);
  if (::chmod(path.c_str(), open) != 0) return FailSys("chmod", path);
  return {};
}

// Whoever may write there could put a file of his own in the place of ours, and root would run what is in it.
Result<> CheckOurs(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return FailSys("stat", path);
  if (!S_ISDIR(st.st_mode)) return FailSys("open directory", path, ENOTDIR);
  const bool owned = st.st_uid == ::geteuid() || st.st_uid == 0;
  const bool open_to_group = (st.st_mode & S_IWGRP) != 0 && st.st_gid != ::getegid();
  if (owned && !open_to_group && (st.st_mode & S_IWOTH) == 0) return {};
  return Fail(Error::Of(ErrorCode::kPermission, "use directory", path,
                        owned ? "others may write in it" : "it belongs to user " + std::to_string(st.st_uid))
                  .Hint("nucleus starts programs from what lies there: give it one of its own, mode 0700"));
}

}  // namespace

FileAccess FileAccess::Find() {
  if (::geteuid() != 0) return {};
  // As text, not by getgrnam(3): a program that is linked statically has none of its services.
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/etc/group", "re"), std::fclose);
  if (!file) return {};
  std::vector<char> buffer(4096);
  while (buffer.size() < 1 << 20) {
    struct group entry{};
    struct group* found = nullptr;
    const int failed = ::fgetgrent_r(file.get(), &entry, buffer.data(), buffer.size(), &found);
    if (failed == 0 && std::string_view(entry.gr_name) == "nucleus") return {entry.gr_gid};
    if (failed == ERANGE) {
      buffer.resize(buffer.size() * 2);  // the entry is read again; getgrent_r(3)
    } else if (failed != 0) {
      break;
    }
  }
  return {};
}

Result<> PrepareDirectory(const std::string& path, const FileAccess& access) {
  for (auto slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string above = path.substr(0, slash);
    if (::mkdir(above.c_str(), 0755) != 0 && errno != EEXIST) return FailSys("mkdir", above);
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return FailSys("mkdir", path);
  TRY(CheckOurs(path));
  return Settle(path, 0700, access.DirectoryMode(), access);
}

Result<> PrepareFile(const std::string& path, const FileAccess& access) {
  if (::mknod(path.c_str(), S_IFREG | 0600, 0) != 0 && errno != EEXIST) return FailSys("create", path);
  return Settle(path, 0600, access.FileMode(), access);
}

Result<> PrepareJournal(const std::string& path, const FileAccess& access) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0 && errno == ENOENT) return {};
  return Settle(path, 0600, access.FileMode(), access);
}

}  // namespace nucleus::state
