#include "cli/rootfs_paths.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::cli {

namespace {

// Where a container has something that no rootfs brings.
constexpr std::array<std::string_view, 10> kMade{
    "/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/context"};

bool IsWithin(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) &&
         (path.size() == directory.size() || directory.ends_with('/') || path[directory.size()] == '/');
}

// A place at which something is mounted is made, and what is above it.
bool IsMounted(const spec::Service& service, std::string_view path) {
  std::vector<std::string_view> places(kMade.begin(), kMade.end());
  for (const auto& mount : service.volumes) places.push_back(mount.destination);
  for (const auto& mount : service.tmpfs) places.push_back(mount.destination);
  for (const auto& secret : service.secrets) places.push_back(secret.destination);
  for (const auto& secret : service.systemd_credentials) places.push_back(secret.destination);
  return std::ranges::any_of(places,
                             [&](std::string_view place) { return IsWithin(path, place) || IsWithin(place, path); });
}

}  // namespace

bool MayBeThere(const spec::Service& service, const std::string& path) {
  if (IsMounted(service, path)) return true;
  const sys::Fd root(::open(service.rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return true;  // that has its own message
  const sys::Fd found(sys::OpenAt2(root.get(), path.c_str(), O_PATH, sys::kInRoot));
  if (found || errno != ENOENT) return true;
  // A link on the way may lead to what is mounted.
  for (auto end = path.find('/', 1); end != std::string::npos; end = path.find('/', end + 1)) {
    struct stat st{};
    const sys::Fd part(sys::OpenAt2(root.get(), path.substr(0, end).c_str(), O_PATH | O_NOFOLLOW, sys::kInRoot));
    if (part && ::fstat(part.get(), &st) == 0 && S_ISLNK(st.st_mode)) return true;
  }
  const sys::Fd last(sys::OpenAt2(root.get(), path.c_str(), O_PATH | O_NOFOLLOW, sys::kInRoot));
  return bool(last);
}

std::optional<mode_t> TypeInRootfs(const spec::Service& service, const std::string& path) {
  if (IsMounted(service, path)) return std::nullopt;
  const sys::Fd root(::open(service.rootfs.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return std::nullopt;
  struct stat st{};
  const sys::Fd found(sys::OpenAt2(root.get(), path.c_str(), O_PATH, sys::kInRoot | RESOLVE_NO_SYMLINKS));
  if (!found || ::fstat(found.get(), &st) != 0) return std::nullopt;
  return st.st_mode & S_IFMT;
}

}  // namespace nucleus::cli
