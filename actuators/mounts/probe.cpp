#include "actuators/mounts/probe.hpp"

#include <dirent.h>

#include <memory>

#include "actuators/mounts/directory.hpp"
#include "state/parts/directory_facts.hpp"

namespace nucleus::mounts {

namespace {

Observation Describe(const DirectoryState& state, const DirectoryWanted& wanted) {
  Observation seen{.presence = Presence::kPresent, .facts = {}, .notes = {}, .detail = {}};
  seen.facts["type"] = state.tmpfs_mount ? "tmpfs" : "directory";
  const auto put = [&](bool asked, const std::string& name, std::string value) {
    (asked ? seen.facts : seen.notes)[name] = std::move(value);
  };
  put(IsModeAsked(wanted), "mode", FormatMode(state.mode));
  put(wanted.uid.has_value(), "uid", std::to_string(state.uid));
  put(wanted.gid.has_value(), "gid", std::to_string(state.gid));
  if (state.tmpfs_mount) put(wanted.size != 0, "size", std::to_string(state.tmpfs_size));
  // A persistent volume may well be a file system of its own, of whatever type.
  if (wanted.type == spec::VolumeType::kPersistent) seen.facts["type"] = "directory";
  return seen;
}

Result<Observation> Look(const DirectoryWanted& wanted) {
  const auto directory = OpenDirectory(wanted.path);
  if (!directory) {
    if (directory.error().code != ErrorCode::kPermission) return Fail(directory.error());
    return Observation{
        .presence = Presence::kUnreadable, .facts = {}, .notes = {}, .detail = directory.error().Message()};
  }
  if (!*directory) return Observation{};
  return Describe(TRY(StateOf(**directory, wanted.path)), wanted);
}

// A link or a file where a directory is wanted is drift that no apply repairs: shown, and refused there.
Result<Observation> LookOrTell(const DirectoryWanted& wanted) {
  auto seen = Look(wanted);
  if (seen || seen.error().code != ErrorCode::kInvalid) return seen;
  return Observation{
      .presence = Presence::kPresent, .facts = {{"type", std::string(kNoDirectory)}}, .notes = {}, .detail = {}};
}

}  // namespace

Result<Observations> VolumeProber::Probe(const ProbeRequest& request) {
  Observations answer;
  for (const auto& [key, part] : request.parts) {
    const auto* wanted = std::get_if<DirectoryWanted>(&part);
    if (wanted == nullptr) return Fail(ErrorCode::kInternal, "probe", key.Text(), "not a directory");
    answer.emplace(key, TRY_IN(key.Text(), LookOrTell(*wanted)));
  }
  if (request.only_asked) return answer;
  // Mount points of ephemeral volumes that nobody asked for.
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(
      ::opendir(directories_.ProjectDir(request.project).c_str()));
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const auto address = Address::Parse(entry->d_name);
    if (!address || address->kind != Kind::kVolume) continue;
    const PartKey key{request.project, *address, Part::kDirectory};
    if (answer.contains(key)) continue;
    DirectoryWanted wanted;
    wanted.type = spec::VolumeType::kEphemeral;
    wanted.path = directories_.VolumeMount(request.project, address->name);
    answer.emplace(key, TRY_IN(key.Text(), LookOrTell(wanted)));
  }
  return answer;
}

}  // namespace nucleus::mounts
