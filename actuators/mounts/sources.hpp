// Which host paths may be given to a container. The lists and their reasons are in docs/sandbox.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

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

struct Source {
  bool is_directory = false;
};
// Looks at the path: it has to exist, no component may be a symbolic link (whoever may write there could lead the next
// start elsewhere), it is a directory, a regular file or a socket, it is on no file system of the kernel's own, and
// WhyDenied has nothing against it. `own`: a volume's place in the runtime directory, chosen by nucleus.
Result<Source> CheckSource(const std::string& path, bool read_only, bool own, const Directories& directories);

}  // namespace nucleus::mounts
