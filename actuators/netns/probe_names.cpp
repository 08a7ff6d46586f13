// The files that say who is who: state/parts/netns_facts.cpp.
#include <fcntl.h>

#include <array>
#include <filesystem>

#include "actuators/netns/host_view.hpp"
#include "actuators/netns/probe.hpp"
#include "actuators/netns/unreadable.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::netns {

namespace {

constexpr std::array<std::string_view, 3> kNameFiles{kHostsFile, kResolvFile, kHostnameFile};

Observation ObserveNames(const std::string& directory) {
  Observation observation;
  for (const auto file : kNameFiles) {
    const auto text = sys::ReadBriefIfThere(AT_FDCWD, directory + "/" + std::string(file));
    if (!text) return Unreadable(text.error());
    if (!*text) continue;
    observation.presence = Presence::kPresent;
    observation.facts[std::string(file)] = Sha256::Of(**text).Hex();
  }
  return observation;
}

std::vector<Address> NamedServices(const Directories& directories, const std::string& project) {
  std::vector<Address> found;
  std::error_code code;
  for (std::filesystem::directory_iterator it(directories.ProjectDir(project), code), end; !code && it != end;
       it.increment(code)) {
    const auto address = Address::Parse(it->path().filename().string());
    if (address && IsService(*address)) found.push_back(*address);
  }
  return found;
}

}  // namespace

NamesProber::NamesProber(Directories directories) : directories_(std::move(directories)) {}

std::vector<Part> NamesProber::Parts() const {
  return {Part::kNames};
}

Result<Observations> NamesProber::Probe(const ProbeRequest& request) {
  Observations observations;
  for (const auto& [key, wanted] : request.parts) {
    if (key.part != Part::kNames) continue;
    const auto* names = std::get_if<NamesWanted>(&wanted);
    observations[key] =
        ObserveNames(names != nullptr ? names->directory : directories_.ServiceDir(request.project, key.address));
  }
  if (request.only_asked) return observations;
  for (const auto& address : NamedServices(directories_, request.project)) {
    const PartKey key{request.project, address, Part::kNames};
    if (observations.contains(key)) continue;
    auto observation = ObserveNames(directories_.ServiceDir(request.project, address));
    if (observation.presence != Presence::kAbsent) observations[key] = std::move(observation);
  }
  return observations;
}

}  // namespace nucleus::netns
