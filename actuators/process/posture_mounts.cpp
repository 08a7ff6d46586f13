// The mounts of a process against the operations that made them, by their places: what identifies a mount while it is
// made (child_audit.cpp) is not known any more. Pure.
#include <algorithm>
#include <array>
#include <map>

#include "actuators/process/posture.hpp"

namespace nucleus::process {

namespace {

struct Flag {
  std::uint64_t flag;
  std::string_view word;
};
constexpr auto kFlags = std::to_array<Flag>(
    {{kMountReadOnly, "ro"}, {kMountNoSuid, "nosuid"}, {kMountNoDev, "nodev"}, {kMountNoExec, "noexec"}});

std::uint64_t FlagsOf(const sys::MountEntry& entry) {
  std::uint64_t flags = 0;
  for (const Flag& flag : kFlags)
    if (entry.HasOption(flag.word)) flags |= flag.flag;
  return flags;
}

std::string Words(std::uint64_t flags) {
  std::string text = (flags & kMountReadOnly) != 0 ? "" : "rw";
  for (const Flag& flag : kFlags)
    if ((flags & flag.flag) != 0) text += (text.empty() ? "" : ",") + std::string(flag.word);
  return text;
}

// One mount that an operation makes.
struct Asked {
  std::uint64_t flags = 0;
  bool optional = false;   // a target or a source that may be missing
  bool recursive = false;  // whatever is mounted below its source came along
  std::string fstype{};    // of a new file system
};
// By place; of several at one place a later one lies above.
using Places = std::map<std::string, std::vector<Asked>>;

std::string PlaceOf(std::string_view target) {
  while (target.size() > 1 && target.ends_with('/')) target.remove_suffix(1);
  return target.empty() ? "/" : std::string(target);
}

// Read-only from here on: what is mounted there, or a clone of what is not.
void AddReadOnly(Places& places, const MountOp& op) {
  const std::uint64_t flags = op.flags | kMountReadOnly;
  auto& place = places[PlaceOf(op.target)];
  if (place.empty()) {
    place.push_back({.flags = flags, .optional = true, .recursive = true});
  } else {
    place.back().flags |= flags;
  }
}

void Add(Places& places, const MountOp& op) {
  const auto add = [&](const Asked& asked) { places[PlaceOf(op.target)].push_back(asked); };
  switch (op.type) {
    case MountOp::Type::kRootTmpfs:  // written to until it is sealed
      places["/"].push_back({.flags = op.flags & ~kMountReadOnly});
      return;
    case MountOp::Type::kRootBind:
      places["/"].push_back({.flags = op.flags, .recursive = op.recursive});
      return;
    case MountOp::Type::kRootOverlay:
      places["/"].push_back({.flags = op.flags});
      return;
    case MountOp::Type::kBind:
    case MountOp::Type::kFilesystem:
    case MountOp::Type::kContext:
    case MountOp::Type::kSecrets:
    case MountOp::Type::kSecret:
      return add({.flags = op.flags, .optional = op.optional, .recursive = op.recursive, .fstype = op.fstype});
    case MountOp::Type::kMask:
      return add({.flags = kMountReadOnly | kMountNoSuid | kMountNoExec, .optional = true});
    case MountOp::Type::kReadOnly:
      return AddReadOnly(places, op);
    case MountOp::Type::kSealRoot:
      if (auto& root = places["/"]; !root.empty()) root.back().flags |= kMountReadOnly;
      return;
    case MountOp::Type::kDirectory:
    case MountOp::Type::kFile:
    case MountOp::Type::kSymlink:
    case MountOp::Type::kSecretFile:
      return;
  }
}

class Comparer {
 public:
  Comparer(const std::vector<sys::MountEntry>& found, Places places) : found_(found), places_(std::move(places)) {
    for (std::size_t i = 0; i < found_.size(); ++i) by_id_.emplace(found_[i].id, i);
    asked_.resize(found_.size());
  }

  std::vector<Check> Run() {
    Match();
    for (std::size_t i = 0; i < found_.size(); ++i) checks_.push_back(Judge(i));
    for (const Check& missing : missing_) checks_.push_back(missing);
    return std::move(checks_);
  }

 private:
  // Of several at one place a later one lies above, and what came along with a tree lies below what was asked for.
  void Match() {
    std::map<std::string_view, std::vector<std::size_t>> there;
    for (std::size_t i = 0; i < found_.size(); ++i) there[found_[i].mount_point].push_back(i);
    for (const auto& [place, asked] : places_) {
      auto& free = there[place];
      for (auto one = asked.rbegin(); one != asked.rend(); ++one) {
        auto its =
            std::find_if(free.rbegin(), free.rend(), [&](std::size_t i) { return found_[i].fstype == one->fstype; });
        if (its == free.rend()) its = free.rbegin();
        if (its != free.rend()) {
          asked_[*its] = &*one;
          free.erase(std::next(its).base());
        } else if (!one->optional) {
          missing_.push_back({"mount " + place, Words(one->flags), "missing", Verdict::kDiffers});
        }
      }
    }
  }

  // The tree that it came along with. Whose text says that a mount is its own ancestor gets no answer.
  [[nodiscard]] const Asked* TreeOf(std::size_t i) const {
    // What is asked for is never so deep; mounts stacked by a workload that may mount are none of it.
    constexpr std::size_t kDeepest = 256;
    for (std::size_t steps = 0; steps < kDeepest; ++steps) {
      const auto parent = by_id_.find(found_[i].parent);
      if (parent == by_id_.end() || parent->second == i) return nullptr;
      i = parent->second;
      if (asked_[i] != nullptr) return asked_[i]->recursive ? asked_[i] : nullptr;
    }
    return nullptr;
  }

  [[nodiscard]] Check Judge(std::size_t i) const {
    const sys::MountEntry& entry = found_[i];
    const std::uint64_t flags = FlagsOf(entry);
    Check check{"mount " + entry.mount_point, "no such mount", Words(flags) + ", " + entry.fstype, Verdict::kDiffers};
    const Asked* asked = asked_[i] != nullptr ? asked_[i] : TreeOf(i);
    if (asked == nullptr) return check;
    check.asked = Words(asked->flags);
    check.found = Words(flags);
    const bool another = asked == asked_[i] && !asked->fstype.empty() && asked->fstype != entry.fstype;
    if (another) check.asked += ", " + asked->fstype, check.found += ", " + entry.fstype;
    if ((asked->flags & ~flags) == 0 && !another) check.verdict = Verdict::kOk;
    // All are private: nothing that is mounted here reaches the machine, nothing of the machine's arrives here.
    if (entry.propagation.empty()) return check;
    check.asked += ", private";
    check.found += ", " + entry.propagation;
    check.verdict = Verdict::kDiffers;
    return check;
  }

  const std::vector<sys::MountEntry>& found_;
  Places places_;
  std::map<std::uint64_t, std::size_t> by_id_;
  std::vector<Check> missing_;
  std::vector<const Asked*> asked_;  // by the index of what was found
  std::vector<Check> checks_;
};

}  // namespace

std::vector<Check> CompareMounts(const std::vector<sys::MountEntry>& found, const Launch& launch) {
  Places places;
  for (const MountOp& op : launch.mounts) Add(places, op);
  return Comparer(found, std::move(places)).Run();
}

}  // namespace nucleus::process
