#include "actuators/sys/cgroup_owner.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::cgroup {

namespace {

// By fcntl(2), as a container's is, or a part of it.
bool IsRangeLocked(const std::string& path) {
  const sys::Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  struct flock lock{};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return file && ::fcntl(file.get(), F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace

Owner OwnerOf(const std::optional<std::string>& tag, std::string_view project, const Address& address,
              const Directories& directories) {
  const std::string ours = directories.OwnerTag(project, address);
  if (!tag || *tag == ours) return {};
  const auto blank = tag->find(' ');
  if (std::string_view(*tag).substr(0, blank) != std::string_view(ours).substr(0, ours.find(' ')))
    return {.kind = Owner::Kind::kStranger};
  if (blank != std::string::npos) return {.kind = Owner::Kind::kAnothers, .runtime = tag->substr(blank + 1)};
  const Directories usual{.state = "", .runtime = std::string(kRootsRuntime)};
  if (::access(usual.ServiceDir(project, address).c_str(), F_OK) != 0) return {};
  return {.kind = Owner::Kind::kAnothers, .runtime = usual.runtime};
}

bool IsAtWork(const std::string& runtime, std::string_view project, const Address& address) {
  const Directories directories{.state = "", .runtime = runtime};
  return sys::IsFlocked(directories.ProjectLock(project)) ||
         IsRangeLocked(directories.ServiceDir(project, address) + "/" + std::string(kLockFile));
}

}  // namespace nucleus::cgroup
