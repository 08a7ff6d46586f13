#include "actuators/sys/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <array>
#include <charconv>
#include <chrono>
#include <climits>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "actuators/sys/openat2.hpp"

namespace nucleus::sys {

namespace {

constexpr std::size_t kChunk = 64 << 10;

// The directory of a path, and the name in it.
std::pair<std::string, std::string> Split(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

constexpr std::size_t kRandomBytes = 8;

std::string TemporaryPrefix(std::string_view name) {
  return "." + std::string(name) + ".";
}

Result<> WriteTemporary(const std::string& temporary, std::string_view data, mode_t mode, bool durable) {
  const Fd fd = TRY(Open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode));
  if (fchmod(fd.get(), mode) != 0) return FailSys("fchmod", temporary);  // the umask took its share
  TRY(WriteAll(fd.get(), data, temporary));
  if (durable && fsync(fd.get()) != 0) return FailSys("fsync", temporary);
  return {};
}

// What a kernel file was asked to hold, on one line.
std::string Shown(std::string_view data) {
  while (data.ends_with('\n')) data.remove_suffix(1);
  std::string text(data.substr(0, 200));
  for (char& c : text) {
    if (c == '\n') c = ' ';
  }
  if (data.size() > 200) text += "...";
  return text;
}

Result<> MakeDirectoriesOnce(const std::string& path, mode_t mode) {
  if (!path.starts_with('/')) return Fail(ErrorCode::kInvalid, "mkdir", path, "not an absolute path");
  // All of it is there, most of the time.
  if (!path.contains("..") && Fd(OpenAt2(AT_FDCWD, path.c_str(), O_PATH | O_DIRECTORY, RESOLVE_NO_SYMLINKS))) return {};
  Fd at = TRY(Open("/", O_PATH | O_DIRECTORY));
  std::string done;
  std::string_view rest = path;
  while (true) {
    rest.remove_prefix(std::min(rest.find_first_not_of('/'), rest.size()));
    if (rest.empty()) return {};
    const std::string name(rest.substr(0, rest.find('/')));
    rest.remove_prefix(name.size());
    if (name == "..") return Fail(ErrorCode::kInvalid, "mkdir", path, "\"..\" in it");
    done += "/" + name;
    constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    Fd next(::openat(at.get(), name.c_str(), kFlags));
    if (!next && errno == ENOENT) {
      // Made by somebody else meanwhile is as good.
      if (::mkdirat(at.get(), name.c_str(), mode) == 0) {
        if (::fchmodat(at.get(), name.c_str(), mode, 0) != 0) return FailSys("chmod", done);  // despite the umask
      } else if (errno != EEXIST) {
        return FailSys("mkdir", done);
      }
      next.reset(::openat(at.get(), name.c_str(), kFlags));
    }
    if (!next) {
      Error error = Error::Sys("open directory", done);
      struct stat st{};
      if (::fstatat(at.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)) {
        error.cause = "it is a symbolic link, which is not followed here";
        error = std::move(error).Hint("give the path that the link leads to");
      }
      return Fail(std::move(error));
    }
    at = std::move(next);
  }
}

}  // namespace

// Two writers of one file must not share their temporary.
Result<std::string> TemporaryName(const std::string& path) {
  std::array<unsigned char, kRandomBytes> random{};
  if (getrandom(random.data(), random.size(), 0) != static_cast<ssize_t>(random.size())) {
    return FailSys("getrandom", path);
  }
  const auto [directory, name] = Split(path);
  std::string temporary = directory + "/" + TemporaryPrefix(name);
  for (const unsigned char byte : random) {
    temporary += "0123456789abcdef"[byte >> 4];
    temporary += "0123456789abcdef"[byte & 15];
  }
  return temporary;
}

Result<Fd> Open(const std::string& path, int flags, mode_t mode) {
  Fd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) return FailSys("open", path);
  return fd;
}

Result<std::string> ReadAll(int fd, std::string_view subject, std::size_t limit) {
  std::string text;
  std::size_t used = 0;
  std::size_t chunk = 4096;  // most files here are smaller; then in greater steps
  while (true) {
    if (text.size() < used + chunk) text.resize(used + chunk);
    const ssize_t got = ::read(fd, text.data() + used, chunk);
    if (got < 0) {
      if (errno == EINTR) continue;
      return FailSys("read", subject);
    }
    used += static_cast<std::size_t>(got);
    if (used > limit) {
      return Fail(ErrorCode::kInvalid, "read", subject, "larger than " + std::to_string(limit) + " bytes");
    }
    if (got == 0) break;
    // What fills a piece may be long; the end of what does not is looked for with what room there is.
    if (static_cast<std::size_t>(got) == chunk)
      chunk = kChunk;
    else
      chunk = std::max<std::size_t>(text.size() - used, 1);
  }
  text.resize(used);
  return text;
}

namespace {

Result<std::optional<std::string>> UnlessRemoved(Result<std::string> text) {
  if (text) return *std::move(text);
  if (text.error().sys_errno == ENODEV) return std::nullopt;
  return Fail(std::move(text).error());
}

}  // namespace

Result<std::optional<std::string>> ReadBriefIfThere(int directory, const std::string& path) {
  const Fd fd(::openat(directory, path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd) return UnlessRemoved(ReadBrief(fd.get(), path));
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  return FailSys("open", path);
}

Result<std::string> ReadBrief(int fd, const std::string& path) {
  std::array<char, 4096> page;  // NOLINT(*-member-init): filled by the kernel
  ssize_t got = 0;
  while ((got = ::read(fd, page.data(), page.size())) < 0) {
    if (errno != EINTR) return FailSys("read", path);
  }
  std::string text(page.data(), static_cast<std::size_t>(got));
  if (text.size() < page.size()) return text;
  return text + TRY(ReadAll(fd, path));
}

Result<std::string> ReadRegular(int fd, std::size_t size, const std::string& path) {
  constexpr std::size_t kMany = 1 << 20;
  if (size > kMany) return ReadAll(fd, path);
  std::string text(size + 1, '\0');
  ssize_t got = 0;
  while ((got = ::read(fd, text.data(), text.size())) < 0) {
    if (errno != EINTR) return FailSys("read", path);
  }
  const bool whole = static_cast<std::size_t>(got) <= size;
  text.resize(static_cast<std::size_t>(got));
  return whole ? std::move(text) : text + TRY(ReadAll(fd, path));
}

Result<std::string> ReadFile(const std::string& path, std::size_t limit) {
  const Fd fd = TRY(Open(path, O_RDONLY));
  return ReadAll(fd.get(), path, limit);
}

Result<std::optional<std::string>> ReadFileIfThere(const std::string& path, std::size_t limit) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    return FailSys("open", path);
  }
  return UnlessRemoved(ReadAll(fd.get(), path, limit));
}

Result<> WriteAll(int fd, std::string_view data, std::string_view subject) {
  while (!data.empty()) {
    const ssize_t put = ::write(fd, data.data(), data.size());
    if (put < 0) {
      if (errno == EINTR) continue;
      return FailSys("write", subject);
    }
    data.remove_prefix(static_cast<std::size_t>(put));
  }
  return {};
}

Result<> WriteKernelFile(const std::string& path, std::string_view data) {
  // O_TRUNC means nothing to kernfs and procfs; it makes a plain file standing in for one behave alike.
  const Fd fd = TRY(Open(path, O_WRONLY | O_TRUNC));
  const ssize_t put = ::write(fd.get(), data.data(), data.size());
  if (put < 0) {
    const int err = errno;
    return FailSys("write", path + " \"" + Shown(data) + "\"", err);
  }
  if (static_cast<std::size_t>(put) != data.size()) {
    return FailSys("write", path + " \"" + Shown(data) + "\"", EIO);
  }
  return {};
}

Result<> ReplaceFile(const std::string& path, std::string_view data, mode_t mode, bool durable) {
  const std::string temporary = TRY(TemporaryName(path));
  if (auto written = WriteTemporary(temporary, data, mode, durable); !written) {
    ::unlink(temporary.c_str());
    Error error = std::move(written).error();
    error.subject = path;
    return Fail(std::move(error));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int err = errno;
    ::unlink(temporary.c_str());
    return FailSys("rename", path, err);
  }
  if (!durable) return {};
  const std::string directory = Split(path).first;
  const Fd fd = TRY(Open(directory, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return FailSys("fsync", directory);
  return {};
}

namespace {

// The descriptor of this process that a path names.
std::optional<int> DescriptorOf(std::string_view path) {
  if (path == "/dev/stdout") return STDOUT_FILENO;
  if (path == "/dev/stderr") return STDERR_FILENO;
  for (const std::string_view directory : {"/dev/fd/", "/proc/self/fd/"}) {
    if (!path.starts_with(directory)) continue;
    int number = -1;
    const auto digits = path.substr(directory.size());
    const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    if (code == std::errc() && end == digits.data() + digits.size()) return number;
  }
  return std::nullopt;
}

}  // namespace

Result<> WriteOut(const std::string& path, std::string_view data, mode_t mode) {
  if (const auto descriptor = DescriptorOf(path)) return WriteAll(*descriptor, data, path);
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0 || S_ISREG(st.st_mode)) return ReplaceFile(path, data, mode);
  if (S_ISDIR(st.st_mode)) return FailSys("write", path, EISDIR);
  if (!S_ISCHR(st.st_mode)) {
    return Fail(
        Error::Of(ErrorCode::kInvalid, "write", path, S_ISLNK(st.st_mode) ? "it is a link" : "it is there, and no file")
            .Hint("name a file, or /dev/stdout"));
  }
  const Fd fd = TRY(Open(path, O_WRONLY | O_NOCTTY | O_NOFOLLOW));
  return WriteAll(fd.get(), data, path);
}

void RemoveTemporaries(const std::string& path) {
  const auto [directory, name] = Split(path);
  const auto close = [](DIR* stream) { ::closedir(stream); };
  const std::unique_ptr<DIR, decltype(close)> stream(::opendir(directory.c_str()), close);
  if (!stream) return;
  const std::string prefix = TemporaryPrefix(name);
  while (const dirent* entry = ::readdir(stream.get())) {
    const std::string_view found = entry->d_name;
    if (found.starts_with(prefix) && found.size() == prefix.size() + 2 * kRandomBytes) {
      ::unlinkat(::dirfd(stream.get()), entry->d_name, 0);
    }
  }
}

namespace {

// Of a file that somebody has a lease on; fcntl(2), "Leases". That he is to give it up has been asked by the first try.
Result<Fd> OpenUnleased(const std::string& path, mode_t mode) {
  constexpr int kTries = 50;
  constexpr std::chrono::milliseconds kBetween(20);
  for (int i = 1;; ++i) {
    auto fd = Open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode);
    if (fd || fd.error().sys_errno != EWOULDBLOCK) return fd;
    if (i == kTries) {
      return Fail(
          Error::Of(ErrorCode::kConflict, "open", path, "a program holds a lease on it, and does not give it up")
              .Hint("end that program, or try again later: the kernel takes it away after "
                    "fs.lease-break-time, 45 seconds where nobody has changed it"));
    }
    std::this_thread::sleep_for(kBetween);
  }
}

}  // namespace

Result<> RewriteInPlace(const std::string& path, std::string_view data, mode_t mode) {
  const Fd fd = TRY(OpenUnleased(path, mode));
  // Written first and cut afterwards, so that a reader in between never meets an empty file.
  TRY(WriteAll(fd.get(), data, path));
  if (ftruncate(fd.get(), static_cast<off_t>(data.size())) != 0) return FailSys("ftruncate", path);
  if (fchmod(fd.get(), mode) != 0) return FailSys("fchmod", path);
  return {};
}

bool IsFlocked(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  return file && ::flock(file.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<> MakeDirectories(const std::string& path, mode_t mode) {
  // One that was there may be gone a moment later: whoever empties a shared directory removes it.
  constexpr int kAttempts = 1000;
  for (int attempt = 1;; ++attempt) {
    auto made = MakeDirectoriesOnce(path, mode);
    if (made || made.error().sys_errno != ENOENT || attempt == kAttempts) return made;
  }
}

void RemoveIfEmpty(std::string path, int levels) {
  while (levels-- > 0 && !path.empty() && (::rmdir(path.c_str()) == 0 || errno == ENOENT)) {
    path.resize(path.rfind('/'));
  }
}

Result<std::optional<std::string>> GetXattr(const std::string& path, std::string_view name) {
  const std::string key(name);
  std::string value(256, '\0');
  while (true) {
    const ssize_t got = ::lgetxattr(path.c_str(), key.c_str(), value.data(), value.size());
    if (got >= 0) {
      value.resize(static_cast<std::size_t>(got));
      return value;
    }
    if (errno == ENODATA) return std::nullopt;
    if (errno != ERANGE) return FailSys("getxattr " + key, path);
    if (value.size() >= 64 << 10) return FailSys("getxattr " + key, path, E2BIG);  // XATTR_SIZE_MAX
    value.resize(64 << 10);
  }
}

Result<> SetXattr(const std::string& path, std::string_view name, std::string_view value) {
  const std::string key(name);
  if (::lsetxattr(path.c_str(), key.c_str(), value.data(), value.size(), 0) != 0) {
    return FailSys("setxattr " + key, path);
  }
  return {};
}

}  // namespace nucleus::sys
