#include "cli/containers.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "actuators/sys/file.hpp"
#include "cli/services.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::cli {

std::string ProjectsDir(const Directories& directories) {
  const std::string any = directories.ProjectDir("any");
  return any.substr(0, any.rfind('/'));
}

namespace {

// None where there is no such directory.
Result<std::vector<std::string>> NamesIn(const std::string& path) {
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(::opendir(path.c_str()));
  if (!open && errno == ENOENT) return std::vector<std::string>();
  if (!open) return FailSys("open", path);
  std::vector<std::string> names;
  while (const dirent* entry = ::readdir(open.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  std::ranges::sort(names);
  return names;
}

std::string IdOf(const std::string& directory) {
  const auto text = sys::ReadBriefIfThere(AT_FDCWD, directory + "/" + std::string(kStatusFile));
  if (!text || !*text) return "";
  const auto status = DecodeStatus(**text);
  return status ? status->id : "";
}

bool IsRunnable(const Result<Address>& address) {
  return address && (address->kind == Kind::kService || address->kind == Kind::kContainer);
}

// Of a project that is called as its service: whether it has no other.
Result<bool> IsAlone(const Directories& directories, const std::string& project, const Address& address) {
  if (address.kind != Kind::kService || project != address.name) return false;
  return std::ranges::count_if(TRY(NamesIn(directories.ProjectDir(project))),
                               [](const std::string& entry) { return IsRunnable(Address::Parse(entry)); }) == 1;
}

// Those that are called exactly that; without reading what is in them.
Result<std::vector<Container>> Called(const Directories& directories, const std::string& name) {
  const auto slash = name.find('/');
  const std::string rest = slash == std::string::npos ? name : name.substr(slash + 1);
  std::vector<std::string> projects{name.substr(0, slash)};
  if (slash == std::string::npos) projects = TRY(NamesIn(ProjectsDir(directories)));
  std::vector<Container> found;
  if (!IsValidName(rest) || (slash != std::string::npos && !IsValidName(projects.front()))) return found;
  for (const std::string& project : projects) {
    for (const Kind kind : {Kind::kService, Kind::kContainer}) {
      Container one{project, {kind, rest}, directories.ServiceDir(project, {kind, rest})};
      if ((kind == Kind::kContainer) != (project == kContainersProject)) continue;
      if (::access(one.directory.c_str(), F_OK) != 0) continue;
      one.alone = TRY(IsAlone(directories, project, one.address));
      found.push_back(std::move(one));
    }
  }
  return found;
}

}  // namespace

std::string Container::Name() const {
  return address.kind == Kind::kContainer || alone ? address.name : project + "/" + address.name;
}

Result<std::vector<std::string>> ProjectNames(const Directories& directories) {
  return NamesIn(ProjectsDir(directories));
}

Result<std::vector<std::string>> ProjectDirs(const Directories& directories) {
  std::vector<std::string> found;
  for (const std::string& project : TRY(ProjectNames(directories))) found.push_back(directories.ProjectDir(project));
  return found;
}

Result<std::vector<Container>> ListContainers(const Directories& directories) {
  std::vector<Container> all;
  for (const std::string& project : TRY(NamesIn(ProjectsDir(directories)))) {
    for (const std::string& entry : TRY(NamesIn(directories.ProjectDir(project)))) {
      auto address = Address::Parse(entry);
      if (!IsRunnable(address)) continue;
      const std::string directory = directories.ServiceDir(project, *address);
      const bool alone = TRY(IsAlone(directories, project, *address));
      all.push_back({project, *std::move(address), directory, alone});
    }
  }
  return all;
}

Result<Container> FindContainer(const Directories& directories, const std::string& name) {
  if (auto called = TRY(Called(directories, name)); called.size() == 1) return std::move(called.front());
  const auto all = TRY(ListContainers(directories));
  std::vector<ServiceRow> rows;
  for (const Container& one : all) {
    ServiceRow row;
    row.project = one.project;
    row.address = one.address;
    row.alone = one.alone;
    row.id = IdOf(one.directory);
    rows.push_back(std::move(row));
  }
  const ServiceRow row = TRY(FindService(rows, name));
  return Container{row.project, row.address, directories.ServiceDir(row.project, row.address), row.alone};
}

}  // namespace nucleus::cli
