// The files that say who is who: state/parts/netns_facts.cpp.
#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <optional>

#include "actuators/netns/host_view.hpp"
#include "actuators/netns/probe.hpp"
#include "actuators/netns/unreadable.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/hash.hpp"
#include "state/parts/directory_facts.hpp"

namespace nucleus::netns {

namespace {

// Whose the files are: the owner of the directory that they are in. None: it is not there.
std::optional<uid_t> OwnerOf(const std::string& directory) {
  struct stat st{};
  return ::lstat(directory.c_str(), &st) == 0 ? std::optional(st.st_uid) : std::nullopt;
}

// The digest of what it says; where it is not a file as ours are, what it is instead. No value: it is not there.
Result<std::optional<std::string>> NameFileFact(const std::string& path, uid_t owner) {
  // Not waited for, where somebody has put a FIFO in its place.
  const sys::Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) {
    if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
    if (errno == ELOOP) return "a symbolic link";
    return errno == ENXIO ? Result<std::optional<std::string>>("not a file") : FailSys("open", path);
  }
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return FailSys("stat", path);
  if (!S_ISREG(st.st_mode)) return "not a file";
  if (st.st_uid != owner) return "owner " + std::to_string(st.st_uid);
  if ((st.st_mode & 07777) != kNameFileMode) return "mode " + FormatMode(st.st_mode);
  return Sha256::Of(TRY(sys::ReadRegular(fd.get(), static_cast<std::size_t>(st.st_size), path))).Hex();
}

Observation ObserveNames(const std::string& directory) {
  Observation observation;
  const auto owner = OwnerOf(directory);
  if (!owner) return observation;
  for (const auto file : kNameFiles) {
    auto fact = NameFileFact(directory + "/" + std::string(file), *owner);
    if (!fact) return Unreadable(fact.error());
    if (!*fact) continue;
    observation.presence = Presence::kPresent;
    observation.facts[std::string(file)] = *std::move(*fact);
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
