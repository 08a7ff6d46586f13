// Which host paths may be given to a container. The lists and their reasons are in docs/security.md.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

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
inline constexpr std::string_view kRuntimeReason = "nucleus keeps there what containers are started from";
inline constexpr std::string_view kStateReason = "it holds the state of nucleus";
// Where root's nucleus keeps its state and nobody says otherwise; Directories::Resolve(). This command's own may be
// elsewhere. Volumes may be in either, beside what nucleus itself makes there: the directories it does not make.
inline constexpr std::string_view kRootsState = "/var/lib/nucleus";
inline constexpr std::array<std::string_view, 2> kStateFiles{"applied.db", "secret-digest.key"};
inline constexpr std::array<std::string_view, 2> kStateDirectories{"seccomp", "restore"};

// Whether a file system of that name in mountinfo is the kernel's own.
bool IsKernelType(std::string_view fstype);

// Why a normal path may not be a source; none: it may. Pure: links were resolved or refused before.
std::optional<std::string> WhyDenied(std::string_view path, bool read_only, const Directories& directories);

// The first file system of the kernel's own that is mounted below `path`, and so would come along with it: a chroot's
// /proc in a volume is the machine's, with settings that root may write whatever capabilities it lacks. Pure.
std::optional<std::string> KernelMountBelow(std::span<const sys::MountEntry> mounts, std::string_view path);

class DeniedPlaces;

struct Source {
  bool is_directory = false;
};
// Looks at the path: it has to exist, no component may be a symbolic link (whoever may write there could lead the next
// start elsewhere), it is a directory, a regular file or a socket, neither it nor anything mounted below it is a file
// system of the kernel's own, and WhyDenied has nothing against any name of these: by the
// places that somebody has read already, or else now. `own`: a volume's place in the
// runtime directory, chosen by nucleus.
Result<Source> CheckSource(const std::string& path, bool read_only, bool own, const Directories& directories,
                           const DeniedPlaces* places = nullptr);
// The same for a directory that is to be a container's root, read-only: path is normal. What is mounted in it lies
// below what is mounted over it.
Result<> CheckRoot(const std::string& path, const Directories& directories);

}  // namespace nucleus::mounts
