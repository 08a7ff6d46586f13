#include "actuators/mounts/denied_places.hpp"

#include <algorithm>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "spec/core/paths.hpp"

namespace nucleus::mounts {

namespace {

// The paths above `path`, "/" last, and itself first.
template <class Function>
void ForEachAbove(std::string_view path, const Function& function) {
  while (path.size() > 1) {
    function(path);
    path = path.substr(0, std::max<std::size_t>(path.rfind('/'), 1));
  }
  function("/");
}

// Of the mounts that hold a path the innermost, and of several on one place the last: it hides the others.
const sys::MountEntry* Innermost(std::span<const sys::MountEntry* const> mounts, std::string_view path) {
  const sys::MountEntry* found = nullptr;
  for (const auto* mount : mounts) {
    if (!IsAtOrBelow(path, mount->mount_point)) continue;
    if (found == nullptr || mount->mount_point.size() >= found->mount_point.size()) found = mount;
  }
  return found;
}

}  // namespace

Result<DeniedPlaces> DeniedPlaces::Read(const Directories& directories) {
  return DeniedPlaces(TRY(sys::ReadMountinfo()), directories);
}

DeniedPlaces::DeniedPlaces(std::vector<sys::MountEntry> mounts, const Directories& directories)
    : mounts_(std::move(mounts)) {
  const auto listed = DeniedPaths();
  std::vector<DeniedPath> denied(listed.begin(), listed.end());
  denied.push_back({directories.runtime, Reach::kTree, kRuntimeReason});
  denied.push_back({directories.state, Reach::kExact, kStateReason});
  std::vector<std::string> own;
  for (const std::string_view state : {std::string_view(directories.state), kRootsState}) {
    for (const auto name : kStateFiles) own.push_back(std::string(state) + "/" + std::string(name));
    for (const auto name : kStateDirectories) own.push_back(std::string(state) + "/" + std::string(name));
  }
  for (const auto& path : own) denied.push_back({path, Reach::kTree, kStateReason});
  AddNamed(denied);
  AddBelow(denied);
}

DeniedPlaces::Spot DeniedPlaces::SpotOf(const sys::MountEntry& mount, std::string_view path) {
  const auto rest = path.substr(mount.mount_point == "/" ? 0 : mount.mount_point.size());
  std::string inside = mount.root == "/" ? std::string(rest) : mount.root + std::string(rest == "/" ? "" : rest);
  return {std::uint64_t{mount.device_major} << 32 | mount.device_minor, inside.empty() ? "/" : std::move(inside)};
}

void DeniedPlaces::AddNamed(const std::vector<DeniedPath>& denied) {
  std::unordered_set<std::string_view> above;
  for (const auto& one : denied) ForEachAbove(one.path, [&](std::string_view path) { above.insert(path); });
  std::vector<const sys::MountEntry*> holding;
  for (const auto& mount : mounts_) {
    if (above.contains(mount.mount_point)) holding.push_back(&mount);
  }
  for (const auto& one : denied) {
    if (const auto* mount = Innermost(holding, one.path))
      places_.push_back({SpotOf(*mount, one.path), one.reach, std::string(one.path), one.reason});
  }
}

// What is mounted somewhere below what is denied with all below it.
void DeniedPlaces::AddBelow(const std::vector<DeniedPath>& denied) {
  std::unordered_map<std::string_view, const DeniedPath*> trees;
  for (const auto& one : denied) {
    if (one.reach != Reach::kExact) trees.emplace(one.path, &one);
  }
  for (const auto& mount : mounts_) {
    if (IsKernelType(mount.fstype)) continue;  // refused wherever it is
    const DeniedPath* in = nullptr;
    ForEachAbove(mount.mount_point, [&](std::string_view path) {
      const auto tree = trees.find(path);
      if (tree != trees.end() && path != mount.mount_point) in = tree->second;
    });
    if (in != nullptr) places_.push_back({SpotOf(mount, mount.mount_point), in->reach, mount.mount_point, in->reason});
  }
}

std::optional<std::string> DeniedPlaces::WhyOf(const Spot& spot, bool read_only) const {
  for (const auto& [place, reach, path, reason] : places_) {
    if (place.device != spot.device || (reach == Reach::kWritable && read_only)) continue;
    const bool is = spot.inside == place.inside || (reach != Reach::kExact && IsAtOrBelow(spot.inside, place.inside));
    if (!is && !IsAtOrBelow(place.inside, spot.inside)) continue;
    return std::string(is ? "is " : "holds ") + path + " by another name: " + std::string(reason);
  }
  return std::nullopt;
}

std::optional<std::string> DeniedPlaces::Why(std::string_view path, bool read_only) const {
  std::vector<const sys::MountEntry*> holding;
  std::vector<const sys::MountEntry*> below;
  for (const auto& mount : mounts_) {
    if (IsAtOrBelow(path, mount.mount_point)) holding.push_back(&mount);
    if (mount.mount_point != path && IsAtOrBelow(mount.mount_point, path)) below.push_back(&mount);
  }
  if (const auto* of = Innermost(holding, path)) {
    if (const auto why = WhyOf(SpotOf(*of, path), read_only)) return "it " + *why;
  }
  for (const auto* mount : below) {
    if (const auto why = WhyOf(SpotOf(*mount, mount->mount_point), read_only))
      return "what is mounted in it, at " + mount->mount_point + ", " + *why;
  }
  return std::nullopt;
}

}  // namespace nucleus::mounts
