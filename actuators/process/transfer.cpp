#include "actuators/process/transfer.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "actuators/sys/fd.hpp"

namespace nucleus::process {

namespace {

enum class Kind : std::uint8_t { kFile, kLink, kDirectory, kUp, kEnd };

// Before the name and, of a link, its target: each ends with a zero byte.
struct Header {
  Kind kind = Kind::kEnd;
  std::uint32_t mode = 0;
  std::uint64_t size = 0;
  timespec modified{};
};

constexpr std::size_t kMostText = 256 + 4096 + 2;
constexpr std::size_t kMostDepth = 512;

bool IsKernels(int fd) {
  struct statfs fs{};
  constexpr std::array kTypes = {PROC_SUPER_MAGIC,   SYSFS_MAGIC,   CGROUP2_SUPER_MAGIC, CGROUP_SUPER_MAGIC,
                                 DEVPTS_SUPER_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,       SECURITYFS_MAGIC};
  return ::fstatfs(fd, &fs) != 0 || std::ranges::any_of(kTypes, [&](auto type) {
           return static_cast<long>(fs.f_type) == static_cast<long>(type);
         });
}

std::unexpected<Error> GaveUp() {
  return Fail(ErrorCode::kConflict, "copy", "", "the other side gave up");
}

Result<> Put(int socket, const Header& header, const std::string& name, const std::string& target, int fd) {
  Header copy = header;
  std::array<iovec, 3> parts{iovec{&copy, sizeof copy}, iovec{const_cast<char*>(name.c_str()), name.size() + 1},
                             iovec{const_cast<char*>(target.c_str()), target.size() + 1}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof fd)> control{};
  if (fd >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof fd);
    std::memcpy(CMSG_DATA(rights), &fd, sizeof fd);
  }
  while (::sendmsg(socket, &message, MSG_NOSIGNAL) < 0) {
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return GaveUp();
    return FailSys("send", name);
  }
  return {};
}

struct Message {
  Header header;
  std::string name, target;
  sys::Fd file;
};

Result<Message> Take(int socket) {
  Message message;
  std::array<char, kMostText> text{};
  std::array<iovec, 2> parts{iovec{&message.header, sizeof message.header}, iovec{text.data(), text.size()}};
  msghdr raw{};
  raw.msg_iov = parts.data();
  raw.msg_iovlen = parts.size();
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  raw.msg_control = control.data();
  raw.msg_controllen = control.size();
  ssize_t got = -1;
  do got = ::recvmsg(socket, &raw, MSG_CMSG_CLOEXEC);
  while (got < 0 && errno == EINTR);
  if (got < static_cast<ssize_t>(sizeof message.header) || (raw.msg_flags & MSG_TRUNC) != 0) return GaveUp();
  const cmsghdr* rights = CMSG_FIRSTHDR(&raw);
  if (rights != nullptr && rights->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    message.file.reset(fd);
  }
  const std::string_view all(text.data(), static_cast<std::size_t>(got) - sizeof message.header);
  const auto end = all.find('\0');
  if (end == std::string_view::npos || !all.ends_with('\0')) return GaveUp();
  message.name = all.substr(0, end);
  message.target = all.substr(end + 1, all.size() - end - 2);
  return message;
}

// ---- the end that reads ----

class Sender {
 public:
  explicit Sender(int socket) : socket_(socket) {}

  Result<> Any(int directory, const std::string& name, const std::string& path, std::size_t depth) {
    struct stat st{};
    if (::fstatat(directory, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return FailSys("stat", path);
    switch (st.st_mode & S_IFMT) {
      case S_IFREG:
        return File(directory, name, path);
      case S_IFDIR:
        return Directory(directory, name, path, depth);
      case S_IFLNK:
        return Link(directory, name, path);
      default:
        ++report_.special;
        return {};
    }
  }
  Result<TransferReport> Finish() {
    TRY(Put(socket_, {.kind = Kind::kEnd, .size = report_.special}, "", "", -1));
    return report_;
  }

 private:
  Result<> File(int directory, const std::string& name, const std::string& path) {
    const sys::Fd file(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    struct stat st{};
    if (!file || ::fstat(file.get(), &st) != 0) return FailSys("open", path);
    if (!S_ISREG(st.st_mode) || IsKernels(file.get())) {
      ++report_.special;
      return {};
    }
    ++report_.files;
    report_.bytes += static_cast<std::uint64_t>(st.st_size);
    return Put(socket_, {Kind::kFile, st.st_mode & 01777U, static_cast<std::uint64_t>(st.st_size), st.st_mtim}, name,
               "", file.get());
  }
  Result<> Link(int directory, const std::string& name, const std::string& path) {
    std::array<char, 4096> target{};
    const ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
    if (size < 0) return FailSys("readlink", path);
    if (static_cast<std::size_t>(size) == target.size()) return FailSys("readlink", path, ENAMETOOLONG);
    ++report_.links;
    return Put(socket_, {.kind = Kind::kLink}, name, std::string(target.data(), static_cast<std::size_t>(size)), -1);
  }
  Result<> Directory(int directory, const std::string& name, const std::string& path, std::size_t depth) {
    if (depth > kMostDepth) return Fail(ErrorCode::kInvalid, "copy", path, "too many directories inside each other");
    sys::Fd inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    struct stat st{};
    if (!inner || ::fstat(inner.get(), &st) != 0) return FailSys("open", path);
    if (IsKernels(inner.get())) {
      ++report_.special;
      return {};
    }
    ++report_.directories;
    TRY(Put(socket_, {Kind::kDirectory, st.st_mode & 01777U, 0, st.st_mtim}, name, "", -1));
    const int fd = inner.get();
    const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(::fdopendir(inner.release()));
    if (!open) return FailSys("read", path);
    while (const dirent* entry = ::readdir(open.get())) {
      const std::string_view one = entry->d_name;
      if (one != "." && one != "..") TRY(Any(fd, std::string(one), path + "/" + std::string(one), depth + 1));
    }
    return Put(socket_, {.kind = Kind::kUp}, "", "", -1);
  }

  int socket_;
  TransferReport report_;
};

// ---- the end that writes ----

Result<std::string> TemporaryName() {
  std::array<unsigned char, 8> bytes{};
  if (::getrandom(bytes.data(), bytes.size(), 0) != static_cast<ssize_t>(bytes.size()))
    return FailSys("getrandom", "temporary name");
  std::string name = ".nucleus-cp-";
  for (const unsigned char byte : bytes) name += static_cast<char>('a' + byte % 26);
  return name;
}

class Receiver {
 public:
  Receiver(int directory, std::string name, uid_t uid, gid_t gid)
      : top_(directory), name_(std::move(name)), uid_(uid), gid_(gid) {}

  [[nodiscard]] std::uint64_t left_out() const { return left_out_; }
  // False: that was the end.
  Result<bool> Write(Message message) {
    const bool in_top = open_.empty();
    const std::string name = in_top ? name_ : message.name;
    const bool named = message.header.kind != Kind::kUp && message.header.kind != Kind::kEnd;
    if (named && (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos))
      return Fail(ErrorCode::kInvalid, "copy", name, "is not a name");
    const std::string path = (in_top ? "" : open_.back().path + "/") + name;
    const int in = in_top ? top_ : open_.back().fd.get();
    switch (message.header.kind) {
      case Kind::kFile:
        TRY(File(in, name, path, message));
        return true;
      case Kind::kLink:
        TRY(Link(in, name, path, message.target));
        return true;
      case Kind::kDirectory:
        TRY(Enter(in, name, path, message.header));
        return true;
      case Kind::kUp:
        if (in_top) return GaveUp();
        TRY(Leave());
        return true;
      case Kind::kEnd:
        left_out_ = message.header.size;
        return false;
    }
    return GaveUp();
  }

 private:
  struct Open {
    sys::Fd fd;
    std::string path;
    bool made;
    Header header;
  };

  // A device, a FIFO or a socket is what somebody uses, and no place for a file. So is a link that was named; one that
  // is met in a directory that is there gives way, and is not followed.
  [[nodiscard]] Result<> CheckReplaceable(int in, const std::string& name, const std::string& path) const {
    if (IsKernels(in)) return Fail(ErrorCode::kInvalid, "write", path, "is in a file system of the kernel's");
    struct stat there{};
    if (::fstatat(in, name.c_str(), &there, AT_SYMLINK_NOFOLLOW) != 0)
      return errno == ENOENT ? Result<>() : FailSys("stat", path);
    if (S_ISREG(there.st_mode) || (S_ISLNK(there.st_mode) && !open_.empty())) return {};
    if (S_ISDIR(there.st_mode)) return FailSys("replace", path, EISDIR);
    const std::string what = S_ISLNK(there.st_mode) ? "a link" : "a device, a FIFO or a socket";
    return Fail(ErrorCode::kInvalid, "replace", path, "it is " + what + ": only a file is replaced");
  }
  Result<> File(int in, const std::string& name, const std::string& path, const Message& message) {
    if (!message.file) return GaveUp();
    TRY(CheckReplaceable(in, name, path));
    const std::string temporary = TRY(TemporaryName());
    const sys::Fd file(::openat(in, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file) return FailSys("create", path);
    auto written = Fill(file, path, message);
    if (written && ::renameat(in, temporary.c_str(), in, name.c_str()) != 0) written = FailSys("rename to", path);
    if (!written) ::unlinkat(in, temporary.c_str(), 0);
    return written;
  }
  Result<> Fill(const sys::Fd& file, const std::string& path, const Message& message) const {
    std::uint64_t left = message.header.size;
    std::vector<char> buffer(left == 0 ? 0 : std::min<std::uint64_t>(left, 256 << 10));
    while (left > 0) {
      const ssize_t got = ::read(message.file.get(), buffer.data(), std::min<std::uint64_t>(left, buffer.size()));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return FailSys("read", path);
      if (got == 0) break;  // it has become shorter
      for (ssize_t at = 0; at < got;) {
        const ssize_t put = ::write(file.get(), buffer.data() + at, static_cast<std::size_t>(got - at));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return FailSys("write", path);
        at += put;
      }
      left -= static_cast<std::uint64_t>(got);
    }
    return Dress(file.get(), path, message.header);
  }
  Result<> Dress(int fd, const std::string& path, const Header& header) const {
    const std::array times{timespec{0, UTIME_OMIT}, header.modified};
    if (::fchown(fd, uid_, gid_) != 0) return FailSys("chown", path);
    if (::fchmod(fd, header.mode & 01777U) != 0) return FailSys("chmod", path);
    if (::futimens(fd, times.data()) != 0) return FailSys("set the time of", path);
    return {};
  }
  Result<> Link(int in, const std::string& name, const std::string& path, const std::string& target) const {
    TRY(CheckReplaceable(in, name, path));
    const std::string temporary = TRY(TemporaryName());
    if (::symlinkat(target.c_str(), in, temporary.c_str()) != 0) return FailSys("symlink", path);
    if (::fchownat(in, temporary.c_str(), uid_, gid_, AT_SYMLINK_NOFOLLOW) == 0 &&
        ::renameat(in, temporary.c_str(), in, name.c_str()) == 0)
      return {};
    const int err = errno;
    ::unlinkat(in, temporary.c_str(), 0);
    return FailSys("rename to", path, err);
  }
  Result<> Enter(int in, const std::string& name, const std::string& path, const Header& header) {
    if (open_.size() > kMostDepth)
      return Fail(ErrorCode::kInvalid, "copy", path, "too many directories inside each other");
    if (IsKernels(in)) return Fail(ErrorCode::kInvalid, "write", path, "is in a file system of the kernel's");
    const bool made = ::mkdirat(in, name.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return FailSys("mkdir", path);
    sys::Fd inner(::openat(in, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner) return FailSys("open", path);
    open_.push_back({std::move(inner), path, made, header});
    return {};
  }
  Result<> Leave() {
    const Open last = std::move(open_.back());
    open_.pop_back();
    return last.made ? Dress(last.fd.get(), last.path, last.header) : Result<>();
  }

  int top_;
  std::string name_;
  uid_t uid_;
  gid_t gid_;
  std::vector<Open> open_;
  std::uint64_t left_out_ = 0;
};

}  // namespace

Result<TransferReport> Send(int directory, const std::string& name, int socket) {
  Sender sender(socket);
  TRY(sender.Any(directory, name, name, 0));
  return sender.Finish();
}

Result<std::uint64_t> Receive(int directory, const std::string& name, uid_t uid, gid_t gid, int socket) {
  Receiver receiver(directory, name, uid, gid);
  for (bool more = true; more;) {
    Message message = TRY(Take(socket));
    more = TRY(receiver.Write(std::move(message)));
  }
  return receiver.left_out();
}

}  // namespace nucleus::process
