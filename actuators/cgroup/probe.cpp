#include "actuators/cgroup/probe.hpp"

#include <dirent.h>
#include <fcntl.h>

#include <memory>

#include "actuators/cgroup/limits.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/cgroup_owner.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cgroup {

namespace {

// What a directory of ours is: absent, present with facts, or unreadable with the reason.
Observation Observe(const std::string& directory, const PartKey& key, const Directories& directories,
                    const Facts& wanted, const std::optional<std::vector<std::string>>& controllers) {
  Observation observation;
  const auto unreadable = [&](const Error& error) {
    observation.presence = Presence::kUnreadable;
    observation.detail = error.Message();
    return observation;
  };
  const auto tag = sys::GetXattr(directory, kTagOwner);
  if (!tag) {
    if (tag.error().code == ErrorCode::kNotFound) return observation;
    return unreadable(tag.error());
  }
  // What is there is none of ours.
  if (OwnerOf(*tag, key.project, key.address, directories).kind == Owner::Kind::kAnothers) return observation;
  auto limits = ReadLimits(directory, wanted, controllers);
  if (!limits) return unreadable(limits.error());
  observation.presence = Presence::kPresent;
  observation.facts = *std::move(limits);
  if (*tag) observation.facts["owner"] = **tag;
  return observation;
}

// The controllers of the groups in a directory. None: who knows.
std::optional<std::vector<std::string>> ControllersIn(const std::string& directory) {
  const auto text = sys::ReadBriefIfThere(AT_FDCWD, directory + "/cgroup.subtree_control");
  if (!text || !*text) return std::nullopt;
  return sys::SplitWords(**text);
}

// The names of the directories in a directory; none where it is not there.
Result<std::vector<std::string>> Children(const std::string& directory) {
  struct Close {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, Close> dir(::opendir(directory.c_str()));
  std::vector<std::string> names;
  if (!dir) {
    if (errno == ENOENT) return names;
    return FailSys("open directory", directory);
  }
  while (const dirent* entry = ::readdir(dir.get())) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

}  // namespace

Result<Observations> CgroupProber::Probe(const ProbeRequest& request) {
  Observations observations;
  for (const auto& [key, wanted] : request.parts) {
    if (key.part == Part::kCgroup) observations[key] = {};
  }
  sys::CgroupRoot root;
  if (fixed_root_) {
    root = *fixed_root_;
  } else {
    auto found = RootOf(request.project);
    if (!found && found.error().code == ErrorCode::kUnsupported) return observations;
    root = TRY(std::move(found));
  }
  const std::string project_directory = root.base + "/nucleus/" + request.project;
  const auto controllers = ControllersIn(project_directory);
  for (const auto& [key, wanted] : request.parts) {
    const auto* group = std::get_if<CgroupWanted>(&wanted);
    if (key.part != Part::kCgroup || group == nullptr) continue;
    const std::string directory = root.base + "/" + group->path;
    const bool of_project = directory.starts_with(project_directory + "/");
    observations[key] = Observe(directory, key, directories_, group->limits, of_project ? controllers : std::nullopt);
  }
  if (request.only_asked) return observations;
  // What else is ours: by its tag, or, where a killed apply made the directory and nothing more, by its place.
  for (const auto& name : TRY(Children(project_directory))) {
    const auto address = Address::Parse(name);
    if (!address) continue;
    const PartKey key{request.project, *address, Part::kCgroup};
    if (observations.contains(key)) continue;
    auto observation = Observe(project_directory + "/" + name, key, directories_, {}, controllers);
    const auto owner = observation.facts.find("owner");
    if (owner != observation.facts.end() &&
        OwnerOf(owner->second, request.project, *address, directories_).kind != Owner::Kind::kOurs)
      continue;
    if (observation.presence != Presence::kAbsent) observations[key] = std::move(observation);
  }
  return observations;
}

}  // namespace nucleus::cgroup
