// The root of a container without a rootfs: the host's programs, read-only, and a small /etc of its own.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "spec/core/error.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::mounts {

// Who is in the container's passwd and group files, besides root and nobody.
struct Person {
  std::uint32_t uid = 0, gid = 0;
  std::string name;
  std::string home = "/";
  std::string shell;
  std::vector<std::pair<std::uint32_t, std::string>> groups;  // those that have names
};

// What the host has of the places that are taken over.
struct HostShape {
  std::map<std::string, std::string> links;  // "/bin" -> "usr/bin"; "/etc/localtime" -> "/usr/share/..."
  std::vector<std::string> directories;      // to be bound: "/usr", "/etc/alternatives"
  std::vector<std::string> files;            // "/etc/services"
};
Result<HostShape> ReadHostShape();

std::string PasswdFile(const Person& person);
std::string GroupFile(const Person& person);

// The root itself and all that comes from the host; without the standard mounts and without the seal. Pure.
std::vector<MountOp> HostRootOps(const HostShape& shape, const Person& person);
// Whether the person's home is a place for a tmpfs of its own.
bool HasOwnHome(const Person& person);

}  // namespace nucleus::mounts
