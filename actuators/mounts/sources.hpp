// Which host paths may be given to a container. The lists and their reasons are in docs/security.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "actuators/sys/mountinfo.hpp"
#include "spec/core/names.hpp"

namespace nucleus::mounts {

enum class Reach : std::uint8_t {
  kExact,     // the path itself and whatever holds it (its parents)
  kTree,      // and everything below it
  kWritable,  // the path, its parents and everything below it, unless read-only
};

struct DeniedPath {
  std::string_view path;
  Reach reach = Reach::kTree;
  std::string_view reason;
};
std::span<const DeniedPath> DeniedPaths();

// Why a normal path may not be a source; none: it may. Pure: links were resolved or refused before.
std::optional<std::string> WhyDenied(std::string_view path, bool read_only, const Directories& directories);

// The first file system of the kernel's own that is mounted below `path`, and so would come along with it: a chroot's
// /proc in a volume is the machine's, with settings that root may write whatever capabilities it lacks. Pure.
std::optional<std::string> KernelMountBelow(std::span<const sys::MountEntry> mounts, std::string_view path);

struct Source {
  bool is_directory = false;
};
// Looks at the path: it has to exist, no component may be a symbolic link (whoever may write there could lead the next
// start elsewhere), it is a directory, a regular file or a socket, neither it nor anything mounted below it is a file
// system of the kernel's own, and WhyDenied has nothing against it. `own`: a volume's place in the runtime directory,
// chosen by nucleus.
Result<Source> CheckSource(const std::string& path, bool read_only, bool own, const Directories& directories);
// The same for a directory that is to be a container's root, read-only: path is normal. What is mounted in it lies
// below what is mounted over it.
Result<> CheckRoot(const std::string& path, const Directories& directories);

}  // namespace nucleus::mounts
