#include "attest/verify.hpp"

#include <fcntl.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"
#include "spec/core/text.hpp"

namespace nucleus::attest {

namespace {

// What tells that a file was written to, or is another one; inode(7).
struct Stamp {
  std::uint64_t inode = 0, size = 0;
  timespec modified{}, changed{};
};

bool operator==(const Stamp& a, const Stamp& b) {
  const auto same = [](const timespec& x, const timespec& y) { return x.tv_sec == y.tv_sec && x.tv_nsec == y.tv_nsec; };
  return a.inode == b.inode && a.size == b.size && same(a.modified, b.modified) && same(a.changed, b.changed);
}

Stamp StampOf(const Status& status) {
  return {status.inode, status.size, status.modified, status.changed};
}

}  // namespace

class Looked {
 public:
  Manifest manifest;
  std::vector<Stamp> stamps;  // of the manifest's regular files, as they were before they were read
};

namespace {

constexpr std::string_view kMounted = "something is mounted on it";
constexpr std::string_view kFlips = "it changed while it was verified";

std::string Octal(std::uint32_t mode) {
  std::string digits;
  for (const int shift : {9, 6, 3, 0}) digits += static_cast<char>('0' + (mode >> shift & 7U));
  return digits;
}

// Ids of files in a user namespace, and what they are outside; both empty in the machine's own. A tree was sealed by
// those of one side: which one its root tells.
class Owners {
 public:
  static Result<Owners> Read() {
    Owners owners{TRY(sys::OwnUids()), TRY(sys::OwnGids())};
    if (sys::IsWhole(owners.uids_) && sys::IsWhole(owners.gids_)) return Owners({}, {});
    return owners;
  }
  void ChooseBy(const Status& root, const Entry& sealed) {
    if (root.uid != sealed.uid || root.gid != sealed.gid) return;
    uids_.clear();
    gids_.clear();
  }
  [[nodiscard]] bool Are(const Status& now, const Entry& sealed) const {
    return Is(uids_, now.uid, sealed.uid) && Is(gids_, now.gid, sealed.gid);
  }
  // Whether it may be any that has no number here: it shows the one that stands for them, which somebody has as well.
  [[nodiscard]] bool AreUncertain(const Status& now) const {
    return (now.uid == kOverflow && Has(uids_, kOverflow)) || (now.gid == kOverflow && Has(gids_, kOverflow));
  }

 private:
  using Map = std::vector<sys::IdMapLine>;
  Owners(Map uids, Map gids) : uids_(std::move(uids)), gids_(std::move(gids)) {}

  static bool Is(const Map& map, std::uint32_t now, std::uint32_t sealed) {
    if (map.empty()) return now == sealed;
    bool sealed_is_here = false;
    for (const auto& line : map) {
      if (now - line.inside < line.count && line.outside + (now - line.inside) == sealed) return true;
      sealed_is_here |= sealed - line.outside < line.count;
    }
    return now == kOverflow && !sealed_is_here && !Has(map, kOverflow);
  }

  static bool Has(const Map& map, std::uint32_t inside) {
    return std::ranges::any_of(map, [&](const auto& line) { return inside - line.inside < line.count; });
  }

  static constexpr std::uint32_t kOverflow = 65534;  // /proc/sys/kernel/overflowuid

  Map uids_, gids_;
};

// What of a directory's entry differs, or a file's, before its content is looked at. Empty: nothing.
std::string AttributesDiffer(const Entry& sealed, const Status& now, const Owners& owners) {
  if (sealed.kind != Kind::kLink && sealed.mode != now.mode) {
    return "its mode is " + Octal(now.mode) + ", sealed " + Octal(sealed.mode);
  }
  if (!owners.Are(now, sealed)) {
    return "its owner is " + std::to_string(now.uid) + ":" + std::to_string(now.gid) + ", sealed " +
           std::to_string(sealed.uid) + ":" + std::to_string(sealed.gid) +
           (owners.AreUncertain(now)
                ? ": here 65534 is a user, and whoever has no number; give it to one who has and seal it again"
                : "");
  }
  if (sealed.kind == Kind::kSpecial && sealed.target != SpecialText(now)) {
    return "it is " + SpecialText(now) + ", sealed " + sealed.target;
  }
  if (sealed.kind == Kind::kRegular && sealed.size != now.size) {
    return "its size is " + std::to_string(now.size) + ", sealed " + std::to_string(sealed.size);
  }
  return "";
}

// How long a change may leave ctime as it is: two ticks of the clock that it is taken from, or what a file system has
// that keeps whole seconds.
std::chrono::nanoseconds Coarseness(const timespec& changed) {
  constexpr std::chrono::seconds kWhole(2);
  timespec tick{};
  if (changed.tv_nsec == 0 || ::clock_getres(CLOCK_REALTIME_COARSE, &tick) != 0) return kWhole;
  return 2 * std::chrono::nanoseconds(tick.tv_nsec);
}

bool IsYoung(const Status& status) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const std::chrono::nanoseconds age = std::chrono::seconds(now.tv_sec - status.changed.tv_sec) +
                                       std::chrono::nanoseconds(now.tv_nsec - status.changed.tv_nsec);
  const auto coarse = Coarseness(status.changed);
  return age < coarse && age > -coarse;
}

// Waits until a change would show. False: it changes all the time.
Result<bool> Settle(int fd, Status& status, const Name& name) {
  constexpr int kTries = 2;
  for (int i = 0; IsYoung(status); ++i) {
    if (i == kTries) return false;
    std::this_thread::sleep_for(Coarseness(status.changed));
    if (!GetStatus(fd, "", status)) return FailSys("stat", Printable(name.path));
  }
  return true;
}

// Twice over a tree: first files are read, and it is noted what they were like; then all else is looked at once more,
// and files have to be what was noted.
class Verifier final : public Visitor {
 public:
  Verifier(const Manifest& manifest, Owners owners, const WalkOptions& options)
      : manifest_(manifest), owners_(std::move(owners)), options_(options), found_(manifest.entries.size()) {}
  Verifier(const Looked& looked, Owners owners, const WalkOptions& options)
      : Verifier(looked.manifest, std::move(owners), options) {
    before_ = &looked.stamps;
  }
  void NoteIn(std::vector<Stamp>& stamps) { noted_ = &stamps; }

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status& status, void* /*above*/) override {
    if (!path.empty() || !extended()) return nullptr;
    const Entry* root = Find("");
    if (root == nullptr) {
      Note(Difference::Kind::kExtra, "", "the root is not in the manifest");
      return nullptr;
    }
    owners_.ChooseBy(status, *root);
    if (auto detail = AttributesDiffer(*root, status, owners_); !detail.empty())
      Note(Difference::Kind::kChanged, "", std::move(detail));
    return nullptr;
  }

  Result<bool> Visit(const Name& name, void* /*kept*/) override {
    if (name.path == kManifestName || IsSettled(name.path)) return false;
    const bool is_directory = name.kind == Kind::kDirectory;
    bool again = false;
    const Entry* sealed = Find(name.path, &again);
    if (is_directory && name.status->is_mount_root) {
      Note(Difference::Kind::kChanged, name.path, kMounted);
      return false;
    }
    if (sealed == nullptr) {
      const bool counts = extended() || name.kind == Kind::kRegular;
      if (counts) Note(Difference::Kind::kExtra, name.path, KindWords(name.kind));
      return is_directory && !counts;
    }
    if (sealed->kind != name.kind) {
      Note(Difference::Kind::kChanged, name.path,
           "it is " + std::string(KindWords(name.kind)) + ", sealed as " + std::string(KindWords(sealed->kind)));
      return false;
    }
    if (name.kind == Kind::kRegular) {
      // A directory that changes may show a name twice: another thread may have it.
      if (again) return false;
      TRY(before_ != nullptr ? CompareFile(name, *sealed) : CheckFile(name, *sealed));
      return false;
    }
    std::string detail = AttributesDiffer(*sealed, *name.status, owners_);
    if (detail.empty() && name.kind == Kind::kLink) detail = TRY(LinkDiffers(name, *sealed));
    if (!detail.empty()) Note(Difference::Kind::kChanged, name.path, std::move(detail));
    return is_directory;
  }

  Result<> Leave(const std::string&, const Status&, void*) override { return {}; }

  Result<> Unreachable(const std::string& path, int err) override {
    if (err != EXDEV && !SaysChanged(err)) return FailSys("open directory", Printable(path), err);
    Note(Difference::Kind::kChanged, path, err == EXDEV ? kMounted : kFlips);
    return {};
  }

  // The first of all, when the walk is over: now what was not met is missing.
  std::optional<Difference> First() {
    for (std::size_t i = 0; i < found_.size(); ++i) {
      const std::string& path = manifest_.entries[i].path;
      if (IsSettled(path)) break;
      if (!found_[i].load(std::memory_order_relaxed)) {
        return Difference{Difference::Kind::kMissing, path, std::string(KindWords(manifest_.entries[i].kind))};
      }
    }
    return std::move(first_);
  }

  [[nodiscard]] std::uint64_t files() const { return files_.load(); }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_.load(); }

 private:
  [[nodiscard]] bool extended() const { return manifest_.format == Format::kExtended; }

  [[nodiscard]] std::size_t IndexOf(const Entry& entry) const {
    return static_cast<std::size_t>(&entry - manifest_.entries.data());
  }

  // And remembers that it is there. again: whether that was known.
  const Entry* Find(std::string_view path, bool* again = nullptr) {
    const auto at = std::ranges::lower_bound(manifest_.entries, path, {}, &Entry::path);
    if (at == manifest_.entries.end() || at->path != path) return nullptr;
    const bool was = found_[IndexOf(*at)].exchange(true, std::memory_order_relaxed);
    if (again != nullptr) *again = was;
    return &*at;
  }

  // Whether something before `path` differs, or it itself: what is there and below no longer matters.
  bool IsSettled(std::string_view path) {
    if (!differs_.load(std::memory_order_acquire)) return false;
    const std::lock_guard lock(mutex_);
    return first_->path <= path;
  }

  void Note(Difference::Kind kind, std::string_view path, std::string_view detail) {
    const std::lock_guard lock(mutex_);
    if (first_ && first_->path <= path) return;
    first_ = Difference{kind, std::string(path), std::string(detail)};
    differs_.store(true, std::memory_order_release);
  }

  Result<> CheckFile(const Name& name, const Entry& sealed) {
    Status status;
    int err = 0;
    const sys::Fd fd = OpenRegular(name, status, err);
    if (!fd) {
      if (err != EXDEV && !SaysChanged(err)) return FailSys("open", Printable(name.path), err);
      Note(Difference::Kind::kChanged, name.path, err == EXDEV ? kMounted : kFlips);
      return {};
    }
    if (!TRY(Settle(fd.get(), status, name))) {
      Note(Difference::Kind::kChanged, name.path, kFlips);
      return {};
    }
    if (extended()) {
      if (auto detail = AttributesDiffer(sealed, status, owners_); !detail.empty()) {
        Note(Difference::Kind::kChanged, name.path, detail);
        return {};
      }
    }
    const auto digest = TRY(HashRegular(fd.get(), status, name, options_));
    if (noted_ != nullptr) (*noted_)[IndexOf(sealed)] = StampOf(status);
    files_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(status.size, std::memory_order_relaxed);
    if (!digest) {
      Note(Difference::Kind::kChanged, name.path, kFlips);
    } else if (*digest != sealed.digest) {
      Note(Difference::Kind::kChanged, name.path, "its content is not the sealed one");
    }
    return {};
  }

  Result<> CompareFile(const Name& name, const Entry& sealed) {
    Status status;
    if (!GetStatus(name.directory, name.name, status)) {
      if (!SaysChanged(errno)) return FailSys("stat", Printable(name.path));
      Note(Difference::Kind::kChanged, name.path, kFlips);
    } else if (status.is_mount_root) {
      Note(Difference::Kind::kChanged, name.path, kMounted);
    } else if (status.kind != Kind::kRegular || StampOf(status) != (*before_)[IndexOf(sealed)]) {
      Note(Difference::Kind::kChanged, name.path, kFlips);
    }
    return {};
  }

  static Result<std::string> LinkDiffers(const Name& name, const Entry& sealed) {
    auto target = ReadLink(name);
    if (!target) {
      if (target.error().sys_errno == ENOENT || target.error().sys_errno == EINVAL) return std::string(kFlips);
      return Fail(std::move(target.error()));
    }
    if (*target == sealed.target) return "";
    return "it leads to " + Printable(*target) + ", sealed " + Printable(sealed.target);
  }

  const Manifest& manifest_;
  Owners owners_;  // as they stay once the root was entered
  const WalkOptions& options_;
  const std::vector<Stamp>* before_ = nullptr;
  std::vector<Stamp>* noted_ = nullptr;
  std::vector<std::atomic<bool>> found_;
  std::atomic<std::uint64_t> files_ = 0, bytes_ = 0;
  std::atomic<bool> differs_ = false;
  std::mutex mutex_;
  std::optional<Difference> first_;
};

Result<std::string> ReadManifest(int root, const std::string& file) {
  // O_NONBLOCK: a FIFO of that name must not hold us up.
  const sys::Fd fd = OpenBeneath(root, std::string(kManifestName), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd && errno == ENOENT) {
    Error error = Error::Of(ErrorCode::kNotFound, "verify", file, "the root file system was not sealed");
    return Fail(std::move(error).Hint("`nucleus rootfs seal DIR` writes it"));
  }
  if (!fd && errno == ELOOP) return Fail(Error::Invalid(file, "it is a symbolic link, not a regular file"));
  if (!fd) return FailSys("open", file);
  Status status;
  if (!GetStatus(fd.get(), "", status)) return FailSys("stat", file);
  if (status.kind != Kind::kRegular) {
    return Fail(Error::Invalid(file, "it is " + std::string(KindWords(status.kind)) + ", not a regular file"));
  }
  if (status.size > kMostManifestBytes) {
    return Fail(Error::Invalid(file, "larger than " + std::to_string(kMostManifestBytes) + " bytes"));
  }
  return sys::ReadAll(fd.get(), file, kMostManifestBytes);
}

}  // namespace

std::string_view DifferenceWord(Difference::Kind kind) {
  switch (kind) {
    case Difference::Kind::kChanged:
      return "changed";
    case Difference::Kind::kMissing:
      return "missing";
    case Difference::Kind::kExtra:
      return "extra";
  }
  return "";
}

Error AsError(const Difference& difference, std::string_view root) {
  std::string subject(root);
  if (!difference.path.empty()) subject += "/" + Printable(difference.path);
  std::string cause = difference.detail;
  switch (difference.kind) {
    case Difference::Kind::kChanged:
      break;
    case Difference::Kind::kMissing:
      cause = "missing: sealed as " + cause;
      break;
    case Difference::Kind::kExtra:
      cause = "extra, not sealed: " + cause;
      break;
  }
  return Error::Of(ErrorCode::kCorrupt, "verify", subject, cause);
}

namespace {

std::string ManifestOf(std::string_view root) {
  return std::string(root) + "/" + std::string(kManifestName);
}

}  // namespace

Result<VerifiedClone> CloneAsSealed(const std::string& root, std::string_view manifest, const WalkOptions& options) {
  constexpr std::uint64_t kNoLinks = RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS;
  const sys::Fd source(sys::OpenAt2(AT_FDCWD, root.c_str(), O_PATH, kNoLinks));
  if (!source) return FailSys("open", root);
  // What is mounted in it is not in its manifest.
  constexpr unsigned kAlone = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH;
  sys::Fd clone(sys::OpenTree(source.get(), "", kAlone));
  if (!clone) return FailSys("open_tree", root);
  const sys::MountAttributes read_only{.set = sys::kAttrReadOnly, .clear = 0, .propagation = 0, .userns_fd = 0};
  if (sys::MountSetattr(clone.get(), 0, read_only) != 0) return FailSys("mount_setattr", root);
  auto verdict = TRY_IN("attestation of the rootfs", Verify(clone.get(), root, options));
  if (verdict.difference) return Fail(AsError(*verdict.difference, root));
  // Somebody may have sealed it anew, after a change.
  if (verdict.manifest.Hex() != manifest) {
    return Fail(Error::Of(ErrorCode::kStale, "verify", root, "its manifest is not the one that was planned with")
                    .Hint("plan again, and look at what has changed in it"));
  }
  return VerifiedClone{std::move(clone), std::move(verdict)};
}

Result<> CheckManifest(int root_directory, std::string_view root) {
  const std::string file = ManifestOf(root);
  const std::string text = TRY(ReadManifest(root_directory, file));
  (void)TRY(ParseManifest(text, file));
  return {};
}

Result<Verdict> Verify(int root_directory, std::string_view root, const WalkOptions& options) {
  const std::string file = ManifestOf(root);
  Verdict verdict;
  const auto looked = std::make_shared<Looked>();
  const Manifest& manifest = looked->manifest;
  {
    const std::string text = TRY(ReadManifest(root_directory, file));
    verdict.manifest = Sha256::Of(text);
    looked->manifest = TRY(ParseManifest(text, file));
  }
  verdict.format = manifest.format;
  if (options.progress != nullptr) {
    options.progress->all_files =
        static_cast<std::uint64_t>(std::ranges::count(manifest.entries, Kind::kRegular, &Entry::kind));
  }
  looked->stamps.resize(manifest.entries.size());
  Verifier verifier(manifest, TRY(Owners::Read()), options);
  verifier.NoteIn(looked->stamps);
  TRY_IN(root, Walk(root_directory, verifier, options));
  verdict.files = verifier.files();
  verdict.bytes = verifier.bytes();
  verdict.difference = verifier.First();
  if (verdict.difference) return verdict;
  verdict.looked = looked;
  verdict.difference = TRY(LookAgain(root_directory, root, verdict, options));
  return verdict;
}

Result<std::optional<Difference>> LookAgain(int root_directory, std::string_view root, const Verdict& verdict,
                                            const WalkOptions& options) {
  Verifier verifier(*verdict.looked, TRY(Owners::Read()), options);
  TRY_IN(root, Walk(root_directory, verifier, options));
  return verifier.First();
}

}  // namespace nucleus::attest
