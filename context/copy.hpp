// A directory of the user's given to a container as its context: copied, or bound with parts of it hidden.
//
// Source and destination are descriptors of directories (O_PATH suffices; they stay the caller's). The source may be
// hostile and change meanwhile: links in it are never followed, what is mounted in it is not entered, FIFOs hold nobody
// up, and no name in it leads outside; attest/walk.hpp. What the filter leaves out, and symbolic links that lead out of
// the tree, special files and what is mounted in it, are left out of the copy, of the hash and, all but the links,
// which lead nowhere but into the container's own root, of a bound context.
//
// A link leads out where its target is absolute, has more ".." at its beginning than it has folders above it, or has a
// ".." behind a name: that name may itself be a link. Nothing is looked up for that.
//
// Threads: each call works on as many as options say, and returns when all are done.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attest/walk.hpp"
#include "context/filter.hpp"
#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::context {

struct CopyReport {
  std::uint64_t files = 0, directories = 0, links = 0;  // copied; the root is no directory of these
  std::uint64_t bytes = 0;                              // of file content
  // Left out, each counted once: what is in a folder that is left out is not.
  std::uint64_t left_out = 0;   // by the filter
  std::uint64_t links_out = 0;  // lead out
  std::uint64_t special = 0;    // FIFOs, sockets, devices
  std::uint64_t mounts = 0;     // something is mounted there
  std::uint64_t changed = 0;    // was something else, or gone, a moment later
};

struct Owner {
  uid_t uid = 0;
  gid_t gid = 0;
};

// Copies into an empty directory that nobody else writes to. Kept are permissions (without set-user-ID and
// set-group-ID), the time of change, links as they are, and holes of sparse files; not kept are owners (all is
// `owner`'s, chown(2)), extended attributes and which names are hard links of one file. The destination itself gets the
// source's permissions, owner and time. Whole files are cloned or copied in the kernel where it can
// (copy_file_range(2), sendfile(2)). Errors name the path; ENOSPC with a hint. After an error what was copied stays.
Result<CopyReport> CopyContext(int source, int destination, const ContextFilter& filter, Owner owner,
                               const attest::WalkOptions& options = {});

// What CopyContext would copy: files, directories, and the bytes of the pages that hold them.
Result<CopyReport> MeasureContext(int source, const ContextFilter& filter, const attest::WalkOptions& options = {});

// The digest of what CopyContext would copy, equal for source and copy: SHA-256 over all entries below the root, in
// ascending order of their paths' bytes, each of them as
//
//     field(path) field(type) field(mode) field(value)
//
// where field(x) is the length of x as 8 bytes, least significant first, then x; type is "f", "d" or "l"; mode are four
// octal digits of the permission bits and the sticky bit (01777), "" for links; value is the SHA-256 of a file's
// content as 32 bytes, a link's target, "" for directories. Owners and times do not count. kConflict: something changed
// while it was read.
Result<Digest> HashContext(int root, const ContextFilter& filter, const attest::WalkOptions& options = {});

// Whether a link leads out, as above. path: the link's own, from the root.
bool LeadsOut(std::string_view path, std::string_view target);

}  // namespace nucleus::context
