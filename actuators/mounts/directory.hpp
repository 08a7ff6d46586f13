// Directories of volumes, opened and made component by component: no link is ever followed, because whoever can write a
// directory on the way could point it elsewhere between two looks. openat2(2), mkdirat(2).
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <optional>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::mounts {

// O_PATH. None where a component is missing; kInvalid, naming it, where one is a link or no directory.
Result<std::optional<sys::Fd>> OpenDirectory(const std::string& path);

struct Made {
  sys::Fd fd;            // readable
  bool created = false;  // the last component is new
};
// Parents are made with mode 0755 and belong to us; the last component with mode 0700.
Result<Made> MakeDirectory(const std::string& path);

// What a directory is: its owner, mode, and whether a tmpfs is mounted there.
struct DirectoryState {
  std::uint32_t uid = 0, gid = 0, mode = 0;
  bool tmpfs_mount = false;
  std::uint64_t tmpfs_size = 0;  // bytes
};
Result<DirectoryState> StateOf(const sys::Fd& directory, const std::string& path);

}  // namespace nucleus::mounts
