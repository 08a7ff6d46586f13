#include "attest/walk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <climits>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <thread>
#include <vector>

#include "actuators/sys/openat2.hpp"
#include "spec/core/text.hpp"
#include "spec/core/threads.hpp"

namespace nucleus::attest {

namespace {

constexpr std::uint64_t kBeneath = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
constexpr std::size_t kNamesBytes = 32 << 10;  // of a directory, read at a time; no more than Scratch has
constexpr std::size_t kOneName = 72;           // ".", ".." and one short name: nothing to share
// Directories that are kept open because some below them wait: with them the way to those is one step. A visitor may
// have as many descriptors; the usual limit is 1024.
constexpr std::size_t kMostKeptOpen = 128;

Kind KindOf(std::uint32_t mode) {
  if (S_ISREG(mode)) return Kind::kRegular;
  if (S_ISDIR(mode)) return Kind::kDirectory;
  if (S_ISLNK(mode)) return Kind::kLink;
  return Kind::kSpecial;
}

std::unexpected<Error> Interrupted() {
  return Fail(ErrorCode::kInterrupted, "walk", "", "interrupted");
}

bool IsSet(const std::atomic<bool>* flag) {
  return flag != nullptr && flag->load(std::memory_order_relaxed);
}

// Directories wait by path, and with the one above them while there are few enough of those. Names that were read are
// worked through by the thread that read them and by those that have nothing else to do: each takes the next one, so
// that nothing waits behind a great file.
class Walker {
 public:
  Walker(int root, Visitor& visitor, const WalkOptions& options) : root_(root), visitor_(visitor), options_(options) {}

  Result<> Run(const std::vector<std::string>& from) {
    for (const auto& path : from) directories_.push_back({path, nullptr});
    const std::size_t threads = options_.threads != 0 ? options_.threads : Processors();
    RunTogether(threads - 1, [this] { Work(); });
    if (error_) return Fail(std::move(*error_));
    if (IsSet(options_.stop)) return Interrupted();
    return {};
  }

 private:
  struct Open {
    explicit Open(std::atomic<std::size_t>& open) : count(open) { count.fetch_add(1, std::memory_order_relaxed); }
    ~Open() { count.fetch_sub(1, std::memory_order_relaxed); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

    std::atomic<std::size_t>& count;
    sys::Fd fd;
    std::string path;
    Status status;
    std::shared_ptr<void> kept;
    std::atomic<unsigned> workers = 1;
  };
  struct Waiting {
    std::string path;
    std::shared_ptr<Open> above;  // or none
  };
  struct Part {
    std::shared_ptr<Open> directory;
    std::string names;                  // struct dirent64, one behind another
    std::atomic<std::size_t> next = 0;  // the first that nobody has taken
  };

  void Work() {
    Scratch scratch;
    std::unique_lock lock(mutex_);
    while (!error_ && !IsSet(options_.stop)) {
      if (!directories_.empty()) {
        Waiting waiting = std::move(directories_.back());
        directories_.pop_back();
        Unlocked(lock, [&] { return Read(std::move(waiting), scratch); });
      } else if (const auto part = Unfinished()) {
        part->directory->workers.fetch_add(1, std::memory_order_relaxed);
        wake_.notify_one();  // there may be enough for one more
        Unlocked(lock, [&] { return Help(*part, scratch); });
      } else if (running_ == 0) {
        break;
      } else {
        ++idle_;
        wake_.wait(lock);
        --idle_;
      }
    }
    wake_.notify_all();
  }

  template <class F>
  void Unlocked(std::unique_lock<std::mutex>& lock, const F& call) {
    ++running_;
    lock.unlock();
    Result<> result = call();
    lock.lock();
    --running_;
    if (!result && !error_) error_ = std::move(result).error();
  }

  Result<> Read(Waiting waiting, Scratch& scratch) {
    const auto open = std::make_shared<Open>(open_);
    const std::string& path = open->path = std::move(waiting.path);
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    if (waiting.above) {
      open->fd.reset(sys::OpenAt2(waiting.above->fd.get(), path.c_str() + (path.rfind('/') + 1), kFlags, kBeneath));
    } else {
      open->fd = OpenBeneath(root_, path, kFlags);
    }
    if (!open->fd) return visitor_.Unreachable(path, errno);
    if (!GetStatus(open->fd.get(), "", open->status)) return FailSys("stat", Printable(path));
    open->kept = TRY(visitor_.Enter(path, open->status, waiting.above ? waiting.above->kept.get() : nullptr));
    waiting.above.reset();
    while (true) {
      const ssize_t got = ::getdents64(open->fd.get(), scratch.buffer.data(), kNamesBytes);
      if (got < 0 && errno == ENOENT) break;  // removed meanwhile
      if (got < 0) return FailSys("read directory", Printable(path));
      if (got == 0) break;
      const auto part = std::make_shared<Part>();
      part->directory = open;
      part->names.assign(scratch.buffer.data(), static_cast<std::size_t>(got));
      const bool shared = static_cast<std::size_t>(got) > kOneName;
      if (shared) Share(part);
      auto visited = VisitAll(*part, scratch);
      if (shared) Unshare(part);
      if (!visited) return visited;
      if (IsSet(options_.stop)) return Interrupted();
    }
    return Done(*open);
  }

  // A part is shared while the thread that read it counts among the directory's workers.
  void Share(const std::shared_ptr<Part>& part) {
    const std::lock_guard lock(mutex_);
    parts_.push_back(part);
    if (idle_ > 0) wake_.notify_one();
  }
  void Unshare(const std::shared_ptr<Part>& part) {
    const std::lock_guard lock(mutex_);
    std::erase(parts_, part);
  }
  std::shared_ptr<Part> Unfinished() const {
    const auto unfinished = [](const auto& part) {
      return part->next.load(std::memory_order_relaxed) < part->names.size();
    };
    const auto found = std::ranges::find_if(parts_, unfinished);
    return found == parts_.end() ? nullptr : *found;
  }

  Result<> Help(Part& part, Scratch& scratch) {
    TRY(VisitAll(part, scratch));
    return Done(*part.directory);
  }

  Result<> Done(Open& directory) {
    if (directory.workers.fetch_sub(1, std::memory_order_acq_rel) > 1) return {};
    return visitor_.Leave(directory.path, directory.status, directory.kept.get());
  }

  static std::uint16_t RecordLength(const char* record) {
    std::uint16_t length = 0;
    std::memcpy(&length, record + offsetof(dirent64, d_reclen), sizeof length);
    return length;
  }

  // The record that is taken; none: all are.
  static const char* Take(Part& part) {
    std::size_t at = part.next.load(std::memory_order_relaxed);
    while (at < part.names.size()) {
      const char* record = part.names.data() + at;
      if (part.next.compare_exchange_weak(at, at + RecordLength(record), std::memory_order_relaxed)) return record;
    }
    return nullptr;
  }

  Result<> VisitAll(Part& part, Scratch& scratch) {
    std::string path = part.directory->path;
    if (!path.empty()) path += '/';
    const std::size_t above = path.size();
    while (const char* record = Take(part)) {
      const char* name = record + offsetof(dirent64, d_name);
      if (std::strcmp(name, ".") == 0 || std::strcmp(name, "..") == 0) continue;
      path.resize(above);
      path += name;
      const auto type = static_cast<unsigned char>(record[offsetof(dirent64, d_type)]);
      TRY(VisitOne(part.directory, path, above, type, scratch));
      if (IsSet(options_.stop)) return Interrupted();
    }
    return {};
  }

  Result<> VisitOne(const std::shared_ptr<Open>& directory, const std::string& path, std::size_t above,
                    unsigned char type, Scratch& scratch) {
    if (path.size() > kMostPathBytes) {
      return Fail(ErrorCode::kInvalid, "walk", Printable(path.substr(0, 100)) + "...",
                  "nested deeper than " + std::to_string(kMostPathBytes) + " bytes of path");
    }
    Name name{directory->fd.get(), path, path.c_str() + above, Kind::kRegular, nullptr, scratch};
    Status status;
    if (type != DT_REG) {
      if (!GetStatus(name.directory, name.name, status)) {
        if (errno == ENOENT) return {};  // removed meanwhile
        return FailSys("stat", Printable(path));
      }
      name.kind = status.kind;
      if (status.kind != Kind::kRegular) name.status = &status;
    }
    if (!TRY(visitor_.Visit(name, directory->kept.get())) || name.kind != Kind::kDirectory) return {};
    const bool few = open_.load(std::memory_order_relaxed) < kMostKeptOpen;
    const std::lock_guard lock(mutex_);
    directories_.push_back({path, few ? directory : nullptr});
    if (idle_ > 0) wake_.notify_one();
    return {};
  }

  const int root_;
  Visitor& visitor_;
  const WalkOptions& options_;
  std::atomic<std::size_t> open_ = 0;  // directories; outlives what waits
  std::mutex mutex_;                   // of all below
  std::condition_variable wake_;
  std::vector<Waiting> directories_;  // the last one first: fewer wait than if whole levels were opened
  std::vector<std::shared_ptr<Part>> parts_;
  std::size_t running_ = 0, idle_ = 0;
  std::optional<Error> error_;
};

}  // namespace

std::string_view KindWords(Kind kind) {
  switch (kind) {
    case Kind::kRegular:
      return "a regular file";
    case Kind::kDirectory:
      return "a directory";
    case Kind::kLink:
      return "a symbolic link";
    case Kind::kSpecial:
      return "a FIFO, socket or device";
  }
  return "";
}

std::string SpecialText(const Status& status) {
  if (status.format == S_IFIFO) return "p";
  if (status.format == S_IFSOCK) return "s";
  return (status.format == S_IFCHR ? "c" : "b") + std::to_string(status.device_major) + ":" +
         std::to_string(status.device_minor);
}

bool GetStatus(int directory, const char* name, Status& status) {
  struct statx st{};
  const int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | (*name == '\0' ? AT_EMPTY_PATH : 0);
  if (::statx(directory, name, flags, STATX_BASIC_STATS, &st) != 0) return false;
  const auto time = [](const statx_timestamp& t) { return timespec{t.tv_sec, static_cast<long>(t.tv_nsec)}; };
  status = {.kind = KindOf(st.stx_mode),
            .mode = st.stx_mode & 07777U,
            .uid = st.stx_uid,
            .gid = st.stx_gid,
            .size = st.stx_size,
            .blocks = st.stx_blocks,
            .modified = time(st.stx_mtime),
            .changed = time(st.stx_ctime),
            .device = static_cast<std::uint64_t>(st.stx_dev_major) << 32 | st.stx_dev_minor,
            .inode = st.stx_ino,
            .is_mount_root = (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0,
            .format = st.stx_mode & static_cast<std::uint32_t>(S_IFMT),
            .device_major = st.stx_rdev_major,
            .device_minor = st.stx_rdev_minor};
  return true;
}

Result<> Walk(int root, Visitor& visitor, const WalkOptions& options, const std::vector<std::string>& from) {
  return Walker(root, visitor, options).Run(from);
}

sys::Fd OpenBeneath(int root, const std::string& path, int flags) {
  if (path.empty()) return sys::Fd(sys::OpenAt2(root, ".", flags, kBeneath));
  constexpr std::size_t kPiece = PATH_MAX - 1;
  sys::Fd at;
  std::size_t done = 0;
  while (path.size() - done > kPiece) {  // a component is NAME_MAX at most: there is a slash
    const std::size_t cut = path.rfind('/', done + kPiece);
    const std::string piece = path.substr(done, cut - done);
    sys::Fd next(sys::OpenAt2(at ? at.get() : root, piece.c_str(), O_PATH | O_DIRECTORY, kBeneath));
    if (!next) return next;
    at = std::move(next);
    done = cut + 1;
  }
  sys::Fd fd(sys::OpenAt2(at ? at.get() : root, path.c_str() + done, flags, kBeneath));
  const int err = errno;
  at.reset();
  errno = err;
  return fd;
}

sys::Fd OpenRegular(const Name& name, Status& status, int& err) {
  sys::Fd fd(sys::OpenAt2(name.directory, name.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, kBeneath));
  if (!fd || !GetStatus(fd.get(), "", status)) {
    err = errno == ENXIO || errno == ENODEV ? ELOOP : errno;  // a socket or a device by now
    return {};
  }
  if (status.kind == Kind::kRegular) return fd;
  err = ELOOP;
  return {};
}

bool SaysChanged(int err) {
  return err == ENOENT || err == ENOTDIR || err == ELOOP;
}

Result<std::optional<Digest>> HashRegular(int fd, const Status& status, const Name& name, const WalkOptions& options) {
  constexpr std::uint64_t kWorthReadingAhead = 1 << 20;
  if (status.size >= kWorthReadingAhead) (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  std::string& buffer = name.scratch.buffer;
  Sha256& hash = name.scratch.hash;
  std::uint64_t done = 0;
  while (true) {
    // One byte more than there should be: less than asked for is the end, without another call.
    const std::uint64_t wanted = std::min<std::uint64_t>(buffer.size(), status.size - done + 1);
    const ssize_t got = ::read(fd, buffer.data(), wanted);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailSys("read", Printable(name.path));
    const auto count = static_cast<std::uint64_t>(got);
    hash.Add({buffer.data(), count});
    done += count;
    if (options.progress != nullptr) options.progress->bytes.fetch_add(count, std::memory_order_relaxed);
    if (count == 0 || done > status.size || (done == status.size && count < wanted)) break;
    if (IsSet(options.stop)) return Interrupted();
  }
  const Digest digest = hash.Finish();
  Status now;
  if (!GetStatus(fd, "", now)) return FailSys("stat", Printable(name.path));
  const auto same = [](const timespec& a, const timespec& b) { return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec; };
  if (done != status.size || now.size != status.size || !same(now.changed, status.changed)) return std::nullopt;
  if (options.progress != nullptr) options.progress->files.fetch_add(1, std::memory_order_relaxed);
  return digest;
}

Result<std::string> ReadLink(const Name& name) {
  std::array<char, PATH_MAX + 1> target;  // NOLINT(*-member-init): filled by the kernel
  const ssize_t size = ::readlinkat(name.directory, name.name, target.data(), target.size());
  if (size < 0) return FailSys("readlink", Printable(name.path));
  if (static_cast<std::size_t>(size) == target.size()) return FailSys("readlink", Printable(name.path), ENAMETOOLONG);
  return std::string(target.data(), static_cast<std::size_t>(size));
}

}  // namespace nucleus::attest
