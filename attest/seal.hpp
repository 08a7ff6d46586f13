// Writes the manifest of a root file system: what Verify compares it with later.
#pragma once

#include <cstdint>
#include <string_view>

#include "attest/manifest.hpp"
#include "attest/walk.hpp"
#include "spec/core/error.hpp"

namespace nucleus::attest {

struct Sealed {
  Digest manifest;  // of the manifest's text
  std::uint64_t entries = 0;
  std::uint64_t files = 0, bytes = 0;  // regular files, and what is in them
};

// Walks through the directory (O_PATH suffices; it stays the caller's) as Verify does and replaces its manifest at
// once: a new file, fsync(2), rename(2), fsync of the directory. The same tree gives the same bytes. What a killed Seal
// left behind is removed; two at a time of one tree are not meant. kInvalid: something is mounted in the tree; it holds
// a special file (extended format) or a path with a newline (plain). kConflict: it changes meanwhile. root: for
// messages.
Result<Sealed> Seal(int root_directory, std::string_view root, Format format, const WalkOptions& options = {});

}  // namespace nucleus::attest
