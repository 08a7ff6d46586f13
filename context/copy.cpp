#include "context/copy.hpp"

#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "actuators/sys/fd.hpp"
#include "spec/core/text.hpp"

namespace nucleus::context {

namespace {

using attest::Kind;
using attest::Name;
using attest::Status;
using attest::WalkOptions;
using Count = std::atomic<std::uint64_t>;

constexpr std::uint32_t kKeptMode = 01777;
constexpr std::uint32_t kTraversable = 0500;  // what we need to work in a directory of our own

void Increment(Count& count, std::uint64_t by = 1) {
  count.fetch_add(by, std::memory_order_relaxed);
}

// readlink(2): EINVAL for what is no link any more.
bool VanishedLink(const Error& error) {
  return error.sys_errno == ENOENT || error.sys_errno == EINVAL;
}

std::unexpected<Error> Failed(std::string_view operation, std::string_view path, int err) {
  Error error = Error::Sys(operation, Printable(path), err);
  if (err == ENOSPC) {
    error = std::move(error).Hint(
        "the context is larger than the room for its copy; leave out what is not needed, or bind it");
  }
  return Fail(std::move(error));
}

// ---- copy ----

// The content of one file. Which way the kernel takes is the same for all files of a copy.
class ContentCopier {
 public:
  // From and to the beginning of both. At most `status.size` bytes: a file that grows meanwhile must not fill the disk.
  // The number of bytes; or errno, and which call.
  struct Outcome {
    std::uint64_t bytes = 0;
    int err = 0;
    const char* operation = "copy";
  };
  Outcome Copy(int from, int to, const Status& status, std::string& buffer, const WalkOptions& options) {
    constexpr std::uint64_t kSmall = 64 << 10;  // two system calls are as good as one
    constexpr std::uint64_t kSector = 512;
    if (status.size > kSmall && status.blocks < status.size / kSector)
      return CopySparse(from, to, status, buffer, options);
    Outcome done;
    CopyRange(from, to, status.size, status.size <= kSmall, buffer, options, done);
    return done;
  }

 private:
  enum class Way : std::uint8_t { kRange, kSend, kReadWrite };

  Outcome CopySparse(int from, int to, const Status& status, std::string& buffer, const WalkOptions& options) {
    Outcome done;
    const auto size = static_cast<off_t>(status.size);
    if (::ftruncate(to, size) != 0) return {0, errno, "ftruncate"};
    for (off_t at = 0; at < size;) {
      const off_t data = ::lseek(from, at, SEEK_DATA);
      if (data < 0 && errno == ENXIO) break;  // holes up to the end
      if (data < 0) return {done.bytes, errno, "lseek"};
      const off_t hole = ::lseek(from, data, SEEK_HOLE);
      if (hole < 0 && errno == ENXIO) break;  // it was cut meanwhile
      if (hole < 0) return {done.bytes, errno, "lseek"};
      const auto length =
          static_cast<std::uint64_t>(std::clamp<off_t>(hole - data, 0, std::max<off_t>(size - data, 0)));
      if (length == 0) break;  // it grew meanwhile
      if (::lseek(from, data, SEEK_SET) < 0 || ::lseek(to, data, SEEK_SET) < 0) return {done.bytes, errno, "lseek"};
      const std::uint64_t before = done.bytes;
      CopyRange(from, to, length, false, buffer, options, done);
      if (done.err != 0 || done.bytes - before < length) break;
      at = hole;
    }
    return done;
  }

  void CopyRange(int from, int to, std::uint64_t size, bool small, std::string& buffer, const WalkOptions& options,
                 Outcome& done) {
    constexpr std::uint64_t kAtOnce = 8 << 20;  // an interrupt and the progress wait no longer
    while (size > 0) {
      const Way way = small ? Way::kReadWrite : way_.load(std::memory_order_relaxed);
      const std::uint64_t wanted = std::min(size, way == Way::kReadWrite ? buffer.size() : kAtOnce);
      const ssize_t got = CopyPiece(way, from, to, wanted, buffer, done.operation);
      if (got < 0) {
        if (errno == EINTR) continue;
        // Not for this pair of file systems (EXDEV since Linux 5.19), or not at all.
        if (way != Way::kReadWrite && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP ||
                                       errno == EPERM || errno == EBADF)) {
          way_.store(way == Way::kRange ? Way::kSend : Way::kReadWrite, std::memory_order_relaxed);
          continue;
        }
        done.err = errno;
        return;
      }
      if (got == 0) return;  // it was cut meanwhile
      const auto count = static_cast<std::uint64_t>(got);
      done.bytes += count;
      size -= count;
      if (options.progress != nullptr) Increment(options.progress->bytes, count);
      if (options.stop != nullptr && options.stop->load(std::memory_order_relaxed)) {
        done.err = ECANCELED;
        return;
      }
    }
  }

  static ssize_t CopyPiece(Way way, int from, int to, std::size_t size, std::string& buffer, const char*& operation) {
    switch (way) {
      case Way::kRange:
        operation = "copy_file_range";
        return ::copy_file_range(from, nullptr, to, nullptr, size, 0);
      case Way::kSend:
        operation = "sendfile";
        return ::sendfile(to, from, nullptr, size);
      case Way::kReadWrite:
        break;
    }
    operation = "read";
    const ssize_t got = ::read(from, buffer.data(), size);
    operation = "write";
    for (ssize_t put = 0; put < got;) {
      const ssize_t written = ::write(to, buffer.data() + put, static_cast<std::size_t>(got - put));
      if (written < 0 && errno != EINTR) return -1;
      if (written > 0) put += written;
    }
    return got;
  }

  std::atomic<Way> way_ = Way::kRange;
};

class Copier final : public attest::Visitor {
 public:
  Copier(int destination, const ContextFilter& filter, Owner owner, const WalkOptions& options)
      : destination_(destination),
        filter_(filter),
        owner_(owner),
        options_(options),
        chowns_(owner.uid != ::geteuid() || owner.gid != ::getegid()) {}

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status& /*status*/, void* above) override {
    constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    auto place = std::make_shared<Place>();
    place->folder = filter_.Inside(path);
    if (above != nullptr) {
      place->fd.reset(::openat(static_cast<Place*>(above)->fd.get(), path.c_str() + (path.rfind('/') + 1), kFlags));
    } else {
      place->fd = attest::OpenBeneath(destination_, path, kFlags);
    }
    if (!place->fd) return Failed("open directory", path, errno);
    return place;
  }

  Result<bool> Visit(const Name& name, void* kept) override {
    const auto& place = *static_cast<Place*>(kept);
    const int to = place.fd.get();
    if (filter_.LeftOut(place.folder, name.path, name.kind == Kind::kDirectory)) {
      Increment(left_out_);
      return false;
    }
    switch (name.kind) {
      case Kind::kRegular:
        TRY(CopyFile(name, to));
        return false;
      case Kind::kDirectory:
        if (name.status->is_mount_root) {
          Increment(mounts_);
          return false;
        }
        if (::mkdirat(to, name.name, 0700) != 0) return NotMade("mkdir", name, errno);
        Increment(directories_);
        return true;
      case Kind::kLink:
        return CopyLink(name, to);
      case Kind::kSpecial:
        Increment(special_);
        return false;
    }
    return false;
  }

  Result<> Leave(const std::string& path, const Status& status, void* kept) override {
    const int fd = static_cast<Place*>(kept)->fd.get();
    if ((status.mode & kTraversable) == kTraversable) return SetAttributes(fd, path, status);
    // Those below are still to be opened through it.
    const std::lock_guard lock(mutex_);
    closed_.push_back({path, status});
    return {};
  }

  Result<> Unreachable(const std::string& path, int err) override {
    if (err == EXDEV) {
      Increment(mounts_);
    } else if (attest::SaysChanged(err)) {
      Increment(changed_);
    } else {
      return FailSys("open directory", Printable(path), err);
    }
    return {};
  }

  Result<CopyReport> Finish() {
    std::ranges::sort(closed_, std::ranges::greater(), &Closed::path);  // what is below first
    for (const Closed& closed : closed_) {
      const sys::Fd fd = attest::OpenBeneath(destination_, closed.path, O_RDONLY | O_DIRECTORY);
      if (!fd) return Failed("open directory", closed.path, errno);
      TRY(SetAttributes(fd.get(), closed.path, closed.status));
    }
    return CopyReport{.files = files_,
                      .directories = directories_,
                      .links = links_,
                      .bytes = bytes_,
                      .left_out = left_out_,
                      .links_out = links_out_,
                      .special = special_,
                      .mounts = mounts_,
                      .changed = changed_};
  }

 private:
  struct Place {  // a directory of the destination
    sys::Fd fd;
    ContextFilter::Folder folder;
  };
  struct Closed {
    std::string path;
    Status status;
  };

  // A directory that changes while it is read may show a name twice.
  Result<bool> NotMade(std::string_view operation, const Name& name, int err) {
    if (err != EEXIST) return Failed(operation, name.path, err);
    Increment(changed_);
    return false;
  }

  Result<> SetAttributes(int fd, std::string_view path, const Status& status) const {
    if (chowns_ && ::fchown(fd, owner_.uid, owner_.gid) != 0) return Failed("chown", path, errno);
    if (::fchmod(fd, status.mode & kKeptMode) != 0)
      return Failed("chmod", path, errno);  // after chown, which may clear
    const std::array<timespec, 2> times{status.modified, status.modified};
    if (::futimens(fd, times.data()) != 0) return Failed("utimensat", path, errno);
    return {};
  }

  Result<> CopyFile(const Name& name, int directory) {
    Status status;
    int err = 0;
    const sys::Fd from = attest::OpenRegular(name, status, err);
    if (!from) return Unreachable(std::string(name.path), err);
    const sys::Fd to(::openat(directory, name.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!to) {
      (void)TRY(NotMade("create", name, errno));
      return {};
    }
    const auto done = content_.Copy(from.get(), to.get(), status, name.scratch.buffer, options_);
    if (done.err == ECANCELED) return Fail(ErrorCode::kInterrupted, "copy", Printable(name.path), "interrupted");
    if (done.err != 0) return Failed(done.operation, name.path, done.err);
    TRY(SetAttributes(to.get(), name.path, status));
    Increment(files_);
    Increment(bytes_, done.bytes);
    if (options_.progress != nullptr) Increment(options_.progress->files);
    return {};
  }

  Result<bool> CopyLink(const Name& name, int directory) {
    const auto target = attest::ReadLink(name);
    if (!target) {
      if (!VanishedLink(target.error())) return Fail(target.error());
      Increment(changed_);
      return false;
    }
    if (LeadsOut(name.path, *target)) {
      Increment(links_out_);
      return false;
    }
    if (::symlinkat(target->c_str(), directory, name.name) != 0) return NotMade("symlink", name, errno);
    if (chowns_ && ::fchownat(directory, name.name, owner_.uid, owner_.gid, AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed("chown", name.path, errno);
    }
    const std::array<timespec, 2> times{name.status->modified, name.status->modified};
    if (::utimensat(directory, name.name, times.data(), AT_SYMLINK_NOFOLLOW) != 0) {
      return Failed("utimensat", name.path, errno);
    }
    Increment(links_);
    return false;
  }

  const int destination_;
  const ContextFilter& filter_;
  const Owner owner_;
  const WalkOptions& options_;
  const bool chowns_;
  ContentCopier content_;
  Count files_ = 0, directories_ = 0, links_ = 0, bytes_ = 0;
  Count left_out_ = 0, links_out_ = 0, special_ = 0, mounts_ = 0, changed_ = 0;
  std::mutex mutex_;
  std::vector<Closed> closed_;
};

// ---- measure ----

class Measurer final : public attest::Visitor {
 public:
  explicit Measurer(const ContextFilter& filter) : filter_(filter) {}

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status&, void* /*above*/) override {
    return std::make_shared<ContextFilter::Folder>(filter_.Inside(path));
  }
  Result<bool> Visit(const Name& name, void* kept) override {
    const bool is_directory = name.kind == Kind::kDirectory;
    if (filter_.LeftOut(*static_cast<ContextFilter::Folder*>(kept), name.path, is_directory)) return false;
    Status status;
    if (name.kind == Kind::kRegular && attest::GetStatus(name.directory, name.name, status)) {
      constexpr std::uint64_t kPage = 4096;
      Increment(files_);
      Increment(bytes_, (status.size + kPage - 1) / kPage * kPage);
    }
    if (is_directory) Increment(directories_);
    return is_directory;
  }
  Result<> Leave(const std::string&, const Status&, void*) override { return {}; }
  Result<> Unreachable(const std::string&, int) override { return {}; }

  CopyReport Finish() const { return {.files = files_, .directories = directories_, .bytes = bytes_}; }

 private:
  const ContextFilter& filter_;
  Count files_ = 0, directories_ = 0, bytes_ = 0;
};

// ---- hash ----

class Hasher final : public attest::Visitor {
 public:
  Hasher(const ContextFilter& filter, const WalkOptions& options) : filter_(filter), options_(options) {}

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status&, void* /*above*/) override {
    return std::make_shared<ContextFilter::Folder>(filter_.Inside(path));
  }

  Result<bool> Visit(const Name& name, void* kept) override {
    const auto& folder = *static_cast<ContextFilter::Folder*>(kept);
    const bool is_directory = name.kind == Kind::kDirectory;
    if (name.kind == Kind::kSpecial || filter_.LeftOut(folder, name.path, is_directory)) return false;
    if (is_directory) {
      if (name.status->is_mount_root) return false;
      Add({std::string(name.path), 'd', name.status->mode, ""});
      return true;
    }
    if (name.kind == Kind::kLink) {
      auto target = attest::ReadLink(name);
      if (!target && VanishedLink(target.error())) return Changed(name.path);
      if (!target) return Fail(std::move(target.error()));
      if (!LeadsOut(name.path, *target)) Add({std::string(name.path), 'l', 0, std::move(*target)});
      return false;
    }
    Status status;
    int err = 0;
    const sys::Fd fd = attest::OpenRegular(name, status, err);
    if (!fd && err == EXDEV) return false;
    if (!fd) {
      TRY(Unreachable(std::string(name.path), err));
      return false;
    }
    const auto digest = TRY(attest::HashRegular(fd.get(), status, name, options_));
    if (!digest) return Changed(name.path);
    Add({std::string(name.path), 'f', status.mode,
         std::string(reinterpret_cast<const char*>(digest->bytes.data()), digest->bytes.size())});
    return false;
  }

  Result<> Leave(const std::string&, const Status&, void*) override { return {}; }

  Result<> Unreachable(const std::string& path, int err) override {
    if (err == EXDEV || attest::SaysChanged(err)) return Changed(path);
    return FailSys("open", Printable(path), err);
  }

  Digest Finish() {
    std::ranges::sort(items_, {}, &Item::path);
    Sha256 hash;
    for (const Item& item : items_) {
      std::string mode;
      for (const int shift : {9, 6, 3, 0}) mode += static_cast<char>('0' + ((item.mode & kKeptMode) >> shift & 7U));
      if (item.type == 'l') mode.clear();
      hash.AddField(item.path).AddField({&item.type, 1}).AddField(mode).AddField(item.value);
    }
    return hash.Finish();
  }

 private:
  struct Item {
    std::string path;
    char type;
    std::uint32_t mode;
    std::string value;
  };

  static std::unexpected<Error> Changed(std::string_view path) {
    return Fail(ErrorCode::kConflict, "hash context", Printable(path), "it changed while it was read");
  }

  void Add(Item item) {
    const std::lock_guard lock(mutex_);
    items_.push_back(std::move(item));
  }

  const ContextFilter& filter_;
  const WalkOptions& options_;
  std::mutex mutex_;
  std::vector<Item> items_;
};

}  // namespace

bool LeadsOut(std::string_view path, std::string_view target) {
  if (target.empty() || target.starts_with('/')) return true;
  auto above = std::ranges::count(path, '/');
  bool named = false;
  while (!target.empty()) {
    const std::size_t slash = target.find('/');
    const std::string_view name = target.substr(0, slash);
    target.remove_prefix(slash == std::string_view::npos ? target.size() : slash + 1);
    if (name.empty() || name == ".") continue;
    if (name != "..") {
      named = true;
    } else if (named || above-- == 0) {
      return true;
    }
  }
  return false;
}

Result<CopyReport> CopyContext(int source, int destination, const ContextFilter& filter, Owner owner,
                               const WalkOptions& options) {
  Copier copier(destination, filter, owner, options);
  TRY(attest::Walk(source, copier, options));
  return copier.Finish();
}

Result<CopyReport> MeasureContext(int source, const ContextFilter& filter, const WalkOptions& options) {
  Measurer measurer(filter);
  TRY(attest::Walk(source, measurer, options));
  return measurer.Finish();
}

Result<Digest> HashContext(int root, const ContextFilter& filter, const WalkOptions& options) {
  Hasher hasher(filter, options);
  TRY(attest::Walk(root, hasher, options));
  return hasher.Finish();
}

}  // namespace nucleus::context
