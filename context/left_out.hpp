// What is to be hidden of a context that is bound: the topmost paths that the filter leaves out, special files, and
// where something is mounted, since a bind that takes no mounts along shows what is below. In order, without content
// being read. Links are not among them: a mount cannot hide one, and what it leads to is judged by its own name.
// To be called on the very mount that is placed: what appears later is not hidden.
//
// source: a descriptor of the directory (O_PATH suffices), which may be hostile; context/copy.hpp.
#pragma once

#include <string>
#include <vector>

#include "attest/walk.hpp"
#include "context/filter.hpp"
#include "spec/core/error.hpp"

namespace nucleus::context {

// Every name is read.
Result<std::vector<std::string>> LeftOutPaths(int source, const ContextFilter& filter,
                                              const attest::WalkOptions& options = {});

// The same, reading only directories that are not as they were when they were read last. What was found then is kept
// in `directory`, which is made where it is missing and used only where it is the caller's alone (0700): for each of
// a context's directories its device, inode, ctime and mtime, of which a change of its names changes at least one. A
// directory is read again where one differs, where it had changed so shortly before it was read that a change after
// that need not show (git calls that racily clean), or where something was mounted in it; and all are where the file
// system is not known to keep such times by itself (FUSE, network), or where what is kept is damaged or of another
// filter. Not being able to keep it is no error.
Result<std::vector<std::string>> LeftOutPathsKept(int source, const ContextFilter& filter, const std::string& directory,
                                                  const attest::WalkOptions& options = {});

}  // namespace nucleus::context
