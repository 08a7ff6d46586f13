#include "context/left_out.hpp"

#include <fcntl.h>
#include <sys/vfs.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "context/left_out_file.hpp"
#include "spec/core/text.hpp"
#include "spec/core/threads.hpp"

namespace nucleus::context {

namespace {

using attest::Kind;
using attest::Name;
using attest::Status;
using attest::WalkOptions;

constexpr std::uint64_t kSecond = 1'000'000'000;
// The coarsest time stamp of the file systems below is a tick of the clock; two seconds are FAT's.
constexpr std::uint64_t kSettles = 2 * kSecond;
// Reading fewer names takes no longer than looking whether they were read already.
constexpr std::uint64_t kWorthKeeping = 500;

std::uint64_t Nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * kSecond + static_cast<std::uint64_t>(time.tv_nsec);
}

Stamp StampOf(const Status& status) {
  return {status.device, status.inode, Nanoseconds(status.changed), Nanoseconds(status.modified)};
}

std::string Joined(std::string_view folder, std::string_view name) {
  std::string path(folder);
  if (!path.empty()) path += '/';
  return path += name;
}

std::pair<std::string_view, std::string_view> Split(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {"", path};
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// Reads the folders it is sent to, and those below them that are not known.
class Finder final : public attest::Visitor {
 public:
  Finder(const ContextFilter& filter, const FolderTree& known) : filter_(filter), known_(known) {
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    begun_ = Nanoseconds(now);
  }

  Result<std::shared_ptr<void>> Enter(const std::string& path, const Status& status, void* /*above*/) override {
    auto reading = std::make_shared<Reading>();
    reading->rules = filter_.Inside(path);
    reading->folder.stamp = StampOf(status);
    // A clock that was set back makes it one of the future: not settled either.
    const std::uint64_t last = std::max(reading->folder.stamp.changed, reading->folder.stamp.modified);
    reading->folder.settled = last + kSettles < begun_;
    return reading;
  }

  Result<bool> Visit(const Name& name, void* kept) override {
    auto& reading = *static_cast<Reading*>(kept);
    reading.names.fetch_add(1, std::memory_order_relaxed);
    if (name.kind == Kind::kLink) return false;
    const bool is_directory = name.kind == Kind::kDirectory;
    const bool mounted = is_directory && name.status->is_mount_root;
    const bool hidden =
        mounted || name.kind == Kind::kSpecial || filter_.LeftOut(reading.rules, name.path, is_directory);
    if (!hidden && !is_directory) return false;
    {
      const std::lock_guard lock(mutex_);
      (hidden ? reading.folder.left_out : reading.folder.folders).emplace_back(name.name);
      if (mounted) reading.folder.settled = false;  // no time changes when it is taken away
    }
    return !hidden && !known_.contains(name.path);
  }

  Result<> Leave(const std::string& path, const Status&, void* kept) override {
    auto& reading = *static_cast<Reading*>(kept);
    const std::lock_guard lock(mutex_);
    names_ += reading.names;
    found_.insert_or_assign(path, std::move(reading.folder));
    return {};
  }

  Result<> Unreachable(const std::string& path, int err) override {
    if (err != EXDEV && !attest::SaysChanged(err)) return FailSys("open directory", Printable(path), err);
    const std::lock_guard lock(mutex_);
    if (err == EXDEV && !path.empty()) mounted_.push_back(path);
    return {};
  }

  // What is in the context now, of what was known and what was read. Folders that are no more are left behind.
  FolderTree Finish(FolderTree known) {
    for (auto& [path, folder] : found_) known.insert_or_assign(path, std::move(folder));
    for (const auto& path : mounted_) {
      const auto [above, name] = Split(path);
      const auto parent = known.find(above);
      if (parent == known.end()) continue;
      std::erase(parent->second.folders, name);
      auto& left_out = parent->second.left_out;
      if (std::ranges::find(left_out, name) == left_out.end()) left_out.emplace_back(name);
      parent->second.settled = false;
    }
    FolderTree now;
    std::vector<std::string> waiting{""};
    while (!waiting.empty()) {
      auto node = known.extract(waiting.back());
      waiting.pop_back();
      if (node.empty()) continue;  // gone before it could be read
      for (const auto& name : node.mapped().folders) waiting.push_back(Joined(node.key(), name));
      now.insert(std::move(node));
    }
    return now;
  }

  [[nodiscard]] std::uint64_t names() const { return names_; }

 private:
  struct Reading {
    ContextFilter::Folder rules;
    Folder folder;  // of mutex_
    std::atomic<std::uint64_t> names = 0;
  };

  const ContextFilter& filter_;
  const FolderTree& known_;
  std::uint64_t begun_ = 0;
  std::mutex mutex_;  // of all below
  FolderTree found_;
  std::vector<std::string> mounted_;
  std::uint64_t names_ = 0;
};

std::vector<std::string> PathsOf(const FolderTree& tree) {
  std::vector<std::string> paths;
  for (const auto& [path, folder] : tree) {
    for (const auto& name : folder.left_out) paths.push_back(Joined(path, name));
  }
  std::ranges::sort(paths);
  return paths;
}

// The folders that have to be read, again or at last. Each is looked at in the one above it, which is opened once.
class Checker {
 public:
  Checker(int source, const FolderTree& tree) : source_(source), tree_(tree) {
    for (const auto& [path, folder] : tree) {
      if (!folder.folders.empty()) parents_.push_back({&path, &folder});
    }
  }

  std::vector<std::string> Unsettled() {
    const auto root = tree_.find("");
    Status status;
    if (!attest::GetStatus(source_, "", status) || !IsAsItWas(status, root->second)) unsettled_.emplace_back();
    constexpr std::size_t kWorthAnother = 1000;  // a thread costs as much as looking at so many
    RunTogether(tree_.size() < kWorthAnother ? 0 : Processors() - 1, [this] { Work(); });
    return std::move(unsettled_);
  }

 private:
  static bool IsAsItWas(const Status& status, const Folder& folder) {
    return status.kind == Kind::kDirectory && folder.settled && StampOf(status) == folder.stamp;
  }

  void Work() {
    while (true) {
      const std::size_t mine = next_.fetch_add(1, std::memory_order_relaxed);
      if (mine >= parents_.size()) return;
      LookInto(*parents_[mine].first, *parents_[mine].second);
    }
  }

  void LookInto(const std::string& path, const Folder& folder) {
    const sys::Fd fd = attest::OpenBeneath(source_, path, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    for (const auto& name : folder.folders) {
      std::string below = Joined(path, name);
      const auto known = tree_.find(below);
      Status status;
      const bool same = fd && known != tree_.end() && attest::GetStatus(fd.get(), name.c_str(), status) &&
                        !status.is_mount_root && IsAsItWas(status, known->second);
      if (same) continue;
      const std::lock_guard lock(mutex_);
      unsettled_.push_back(std::move(below));
    }
  }

  const int source_;
  const FolderTree& tree_;
  std::vector<std::pair<const std::string*, const Folder*>> parents_;
  std::atomic<std::size_t> next_ = 0;
  std::mutex mutex_;
  std::vector<std::string> unsettled_;  // of mutex_
};

// Those whose directories' times are kept by this kernel, whatever is done to them. linux/magic.h, and what is not in
// it.
bool KeepsTimes(int source) {
  constexpr std::array<std::uint32_t, 8> kFileSystems{
      0xEF53,      // ext4
      0x58465342,  // xfs
      0x9123683E,  // btrfs
      0x01021994,  // tmpfs
      0x794C7630,  // overlayfs
      0xF2F52010,  // f2fs
      0xCA451A4E,  // bcachefs
      0x2FC12FC1,  // zfs
  };
  struct statfs st{};
  if (::fstatfs(source, &st) != 0) return false;
  return std::ranges::find(kFileSystems, static_cast<std::uint32_t>(st.f_type)) != kFileSystems.end();
}

Digest KeyOf(const Status& root, const ContextFilter& filter) {
  Sha256 hash;
  hash.AddField("nucleus context " NUCLEUS_VERSION).AddField(filter.digest().Hex());
  for (const auto number : {root.device, root.inode}) hash.AddField(std::to_string(number));
  return hash.Finish();
}

}  // namespace

Result<std::vector<std::string>> LeftOutPaths(int source, const ContextFilter& filter, const WalkOptions& options) {
  const FolderTree none;
  Finder finder(filter, none);
  TRY(attest::Walk(source, finder, options));
  return PathsOf(finder.Finish({}));
}

Result<std::vector<std::string>> LeftOutPathsKept(int source, const ContextFilter& filter, const std::string& directory,
                                                  const WalkOptions& options) {
  Status root;
  if (!KeepsTimes(source) || !attest::GetStatus(source, "", root)) return LeftOutPaths(source, filter, options);
  const Digest key = KeyOf(root, filter);
  FolderTree known = LoadFolders(directory, key).value_or(FolderTree());
  std::vector<std::string> unread{""};
  if (!known.empty()) unread = Checker(source, known).Unsettled();
  if (unread.empty()) return PathsOf(known);
  Finder finder(filter, known);
  TRY(attest::Walk(source, finder, options, unread));
  const bool worth = !known.empty() || finder.names() >= kWorthKeeping;
  for (const auto& path : unread) known.erase(path);
  const FolderTree now = finder.Finish(std::move(known));
  if (worth) (void)StoreFolders(directory, key, now);
  return PathsOf(now);
}

}  // namespace nucleus::context
