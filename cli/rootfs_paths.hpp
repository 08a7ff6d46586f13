// Whether a path can be in a container, as far as that is to be seen before it is made: in its root file system, looked
// at on the machine, or in what is mounted there. Reads only; nothing of a rootfs is believed, openat2(2).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "spec/types.hpp"

namespace nucleus::cli {

// path: absolute, without "." and "..". Only a plain "no" is false: what a mount or a dangling link may bring is there.
bool MayBeThere(const spec::Service& service, const std::string& path);

// S_IFMT of what is there; none: it is not sure, for a mount or a link may bring another.
std::optional<mode_t> TypeInRootfs(const spec::Service& service, const std::string& path);

}  // namespace nucleus::cli
