// Whether a root file system is what its manifest says.
//
// Works from a descriptor of the root directory (O_PATH suffices; it stays the caller's) and looks nothing up above it.
// A caller that mounts the tree gives the descriptor of the very mount that it places afterwards, a detached read-only
// clone (open_tree(2), mount_setattr(2)): no name is then resolved between the check and the use. What somebody writes
// through another mount of the same file system is seen only if it comes before or while its file is read; keep the
// tree's owner trusted, or the file system read-only, where that matters.
//
// What counts as a difference: the plain format, a regular file whose content differs, that is missing or extra; the
// extended format, also type, mode, owner, size and link target of anything, missing or extra names of any kind,
// special files among them. In both, a directory or file on which something is mounted. The manifest itself is not
// covered: Verdict::manifest is what to compare with a digest that is kept elsewhere.
//
// Named is the first difference in the order of the paths' bytes, whatever the number of threads. Once there is one,
// what comes behind it is no longer read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "attest/manifest.hpp"
#include "attest/walk.hpp"
#include "spec/core/error.hpp"

namespace nucleus::attest {

struct Difference {
  enum class Kind : std::uint8_t { kChanged, kMissing, kExtra };
  Kind kind = Kind::kChanged;
  std::string path;  // bytes; the root is ""
  std::string detail;

  bool operator==(const Difference&) const = default;
};

std::string_view DifferenceWord(Difference::Kind kind);  // "changed"
// kCorrupt: "verify /srv/rootfs/etc/passwd: its content is not the sealed one". root: for messages.
Error AsError(const Difference& difference, std::string_view root);

struct Verdict {
  Format format = Format::kPlain;
  Digest manifest;                       // of the manifest's text
  std::uint64_t files = 0;               // regular files that were read
  std::uint64_t bytes = 0;               // of them
  std::optional<Difference> difference;  // none: it is as sealed
};

// An error: no manifest (kNotFound), one that does not read (kInvalid, with file:line), something that may not be read,
// or an interrupt. root: for messages.
Result<Verdict> Verify(int root_directory, std::string_view root, const WalkOptions& options = {});

}  // namespace nucleus::attest
