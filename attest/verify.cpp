#include "attest/verify.hpp"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "actuators/sys/file.hpp"
#include "spec/core/text.hpp"

namespace nucleus::attest {

namespace {

constexpr std::string_view kMounted = "something is mounted on it";
constexpr std::string_view kFlips = "it changed while it was verified";

std::string Octal(std::uint32_t mode) {
  std::string digits;
  for (const int shift : {9, 6, 3, 0}) digits += static_cast<char>('0' + (mode >> shift & 7U));
  return digits;
}

// What of a directory's entry differs, or a file's, before its content is looked at. Empty: nothing.
std::string AttributesDiffer(const Entry& sealed, const Status& now) {
  if (sealed.kind != Kind::kLink && sealed.mode != now.mode) {
    return "its mode is " + Octal(now.mode) + ", sealed " + Octal(sealed.mode);
  }
  if (sealed.uid != now.uid || sealed.gid != now.gid) {
    return "its owner is " + std::to_string(now.uid) + ":" + std::to_string(now.gid) + ", sealed " +
           std::to_string(sealed.uid) + ":" + std::to_string(sealed.gid);
  }
  if (sealed.kind == Kind::kSpecial && sealed.target != SpecialText(now)) {
    return "it is " + SpecialText(now) + ", sealed " + sealed.target;
  }
  if (sealed.kind == Kind::kRegular && sealed.size != now.size) {
    return "its size is " + std::to_string(now.size) + ", sealed " + std::to_string(sealed.size);
  }
  return "";
}

class Verifier final : public Visitor {
 public:
  Verifier(const Manifest& manifest, const WalkOptions& options)
      : manifest_(manifest), options_(options), found_(manifest.entries.size()) {}

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status& status, void* /*above*/) override {
    if (!path.empty() || !extended()) return nullptr;
    const Entry* root = Find("");
    if (root == nullptr) {
      Note(Difference::Kind::kExtra, "", "the root is not in the manifest");
    } else if (auto detail = AttributesDiffer(*root, status); !detail.empty()) {
      Note(Difference::Kind::kChanged, "", std::move(detail));
    }
    return nullptr;
  }

  Result<bool> Visit(const Name& name, void* /*kept*/) override {
    if (name.path == kManifestName || IsSettled(name.path)) return false;
    const bool is_directory = name.kind == Kind::kDirectory;
    const Entry* sealed = Find(name.path);
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
      TRY(CheckFile(name, *sealed));
      return false;
    }
    std::string detail = AttributesDiffer(*sealed, *name.status);
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

  // And remembers that it is there.
  const Entry* Find(std::string_view path) {
    const auto at = std::ranges::lower_bound(manifest_.entries, path, {}, &Entry::path);
    if (at == manifest_.entries.end() || at->path != path) return nullptr;
    found_[static_cast<std::size_t>(at - manifest_.entries.begin())].store(true, std::memory_order_relaxed);
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
    if (extended()) {
      if (auto detail = AttributesDiffer(sealed, status); !detail.empty()) {
        Note(Difference::Kind::kChanged, name.path, detail);
        return {};
      }
    }
    const auto digest = TRY(HashRegular(fd.get(), status, name, options_));
    files_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(status.size, std::memory_order_relaxed);
    if (!digest) {
      Note(Difference::Kind::kChanged, name.path, kFlips);
    } else if (*digest != sealed.digest) {
      Note(Difference::Kind::kChanged, name.path, "its content is not the sealed one");
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
  const WalkOptions& options_;
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

Result<Verdict> Verify(int root_directory, std::string_view root, const WalkOptions& options) {
  const std::string file = std::string(root) + "/" + std::string(kManifestName);
  Verdict verdict;
  Manifest manifest;
  {
    const std::string text = TRY(ReadManifest(root_directory, file));
    verdict.manifest = Sha256::Of(text);
    manifest = TRY(ParseManifest(text, file));
  }
  verdict.format = manifest.format;
  if (options.progress != nullptr) {
    options.progress->all_files =
        static_cast<std::uint64_t>(std::ranges::count(manifest.entries, Kind::kRegular, &Entry::kind));
  }
  Verifier verifier(manifest, options);
  TRY_IN(root, Walk(root_directory, verifier, options));
  verdict.files = verifier.files();
  verdict.bytes = verifier.bytes();
  verdict.difference = verifier.First();
  return verdict;
}

}  // namespace nucleus::attest
