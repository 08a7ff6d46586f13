// A service or container by its directory alone: for commands that act on what was started. Neither the store nor
// anything of the kernel is looked at.
#pragma once

#include <string>
#include <vector>

#include "spec/core/address.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"

namespace nucleus::cli {

struct Container {
  std::string project;
  Address address;
  std::string directory;
  bool alone = false;  // all there is in a project of its name: one in the background, detached.hpp

  [[nodiscard]] std::string Name() const;  // as ps calls it: "shop/web", or NAME of what was started by hand
};

// Where the directories of projects are made, in which theirs are; and those that there are.
std::string ProjectsDir(const Directories& directories);
Result<std::vector<std::string>> ProjectNames(const Directories& directories);
Result<std::vector<std::string>> ProjectDirs(const Directories& directories);

// By project and name.
Result<std::vector<Container>> ListContainers(const Directories& directories);

// SERVICE, TOPOLOGY/SERVICE, a container, or the beginning of an id. Errors as FindService's.
Result<Container> FindContainer(const Directories& directories, const std::string& name);

}  // namespace nucleus::cli
