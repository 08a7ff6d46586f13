#include "attest/seal.hpp"

#include <algorithm>
#include <mutex>
#include <vector>

#include "actuators/sys/file.hpp"
#include "spec/core/text.hpp"

namespace nucleus::attest {

namespace {

std::unexpected<Error> Refused(ErrorCode code, std::string_view path, std::string_view cause) {
  return Fail(code, "seal", Printable(path), cause);
}

class Collector final : public Visitor {
 public:
  Collector(Format format, const WalkOptions& options) : extended_(format == Format::kExtended), options_(options) {}

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status& status, void* /*above*/) override {
    if (extended_) Add(Described(path, status));
    return nullptr;
  }

  Result<bool> Visit(const Name& name, void* /*kept*/) override {
    if (name.path == kManifestName && name.kind != Kind::kDirectory) return false;
    switch (name.kind) {
      case Kind::kRegular:
        TRY(AddFile(name));
        return false;
      case Kind::kDirectory:
        if (name.status->is_mount_root) TRY(Unreachable(std::string(name.path), EXDEV));
        return true;
      case Kind::kLink:
        if (extended_) {
          Entry entry = Described(name.path, *name.status);
          entry.target = TRY(ReadLink(name));
          Add(std::move(entry));
        }
        return false;
      case Kind::kSpecial:
        if (extended_) {
          Entry entry = Described(name.path, *name.status);
          entry.target = SpecialText(*name.status);
          Add(std::move(entry));
        }
        return false;
    }
    return false;
  }

  Result<> Leave(const std::string&, const Status&, void*) override { return {}; }

  Result<> Unreachable(const std::string& path, int err) override {
    if (err == EXDEV) return Refused(ErrorCode::kInvalid, path, "something is mounted on it");
    if (SaysChanged(err)) return Refused(ErrorCode::kConflict, path, "it changed while it was sealed");
    return FailSys("open directory", Printable(path), err);
  }

  std::vector<Entry> TakeSorted() {
    std::ranges::sort(entries_, {}, &Entry::path);
    return std::move(entries_);
  }

 private:
  static Entry Described(std::string_view path, const Status& status) {
    Entry entry{.kind = status.kind, .uid = status.uid, .gid = status.gid, .path = std::string(path)};
    if (status.kind != Kind::kLink) entry.mode = status.mode;
    if (status.kind == Kind::kRegular) entry.size = status.size;
    return entry;
  }

  Result<> AddFile(const Name& name) {
    Status status;
    int err = 0;
    const sys::Fd fd = OpenRegular(name, status, err);
    if (!fd && (err == EXDEV || SaysChanged(err))) return Unreachable(std::string(name.path), err);
    if (!fd) return FailSys("open", Printable(name.path), err);
    const auto digest = TRY(HashRegular(fd.get(), status, name, options_));
    if (!digest) return Refused(ErrorCode::kConflict, name.path, "it changed while it was sealed");
    Entry entry = Described(name.path, status);
    entry.digest = *digest;
    Add(std::move(entry));
    return {};
  }

  void Add(Entry entry) {
    const std::lock_guard lock(mutex_);
    entries_.push_back(std::move(entry));
  }

  const bool extended_;
  const WalkOptions& options_;
  std::mutex mutex_;
  std::vector<Entry> entries_;
};

}  // namespace

Result<Sealed> Seal(int root_directory, std::string_view root, Format format, const WalkOptions& options) {
  // The directory by its descriptor, whatever its name leads to by now; proc_pid_fd(5).
  const std::string file = "/proc/self/fd/" + std::to_string(root_directory) + "/" + std::string(kManifestName);
  sys::RemoveTemporaries(file);
  Collector collector(format, options);
  TRY_IN(root, Walk(root_directory, collector, options));
  const Manifest manifest{format, collector.TakeSorted()};
  const std::string text = TRY_IN(root, WriteManifest(manifest));

  constexpr mode_t kReadable = 0644;
  if (auto written = sys::ReplaceFile(file, text, kReadable, true); !written) {
    written.error().subject = std::string(root) + "/" + std::string(kManifestName);
    return Fail(std::move(written.error()));
  }
  Sealed sealed{.manifest = Sha256::Of(text), .entries = manifest.entries.size()};
  for (const Entry& entry : manifest.entries) {
    if (entry.kind != Kind::kRegular) continue;
    ++sealed.files;
    sealed.bytes += entry.size;
  }
  return sealed;
}

}  // namespace nucleus::attest
