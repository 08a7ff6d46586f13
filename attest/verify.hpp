// Whether a root file system is what its manifest says.
//
// Works from a descriptor of the root directory (O_PATH suffices; it stays the caller's) and looks nothing up above it.
// A caller that mounts the tree gives the descriptor of the very mount that it places afterwards, a detached read-only
// clone (open_tree(2), mount_setattr(2)): no name is then resolved between the check and the use.
//
// Somebody may write through another mount of the same file system meanwhile, also to a file whose turn is over. So all
// is looked at twice: what was read has, when the last file has been read, to have the status (inode(7): size, mtime,
// ctime) that it had before it was read; a ctime so young that a change might not show in it is waited out. LookAgain()
// does the second half by itself, for who does something else in between. Not seen is what is written after it, and
// what is stored through a writable mapping that was there, and dirty, before: mmap(2) sets no times then. Keep the
// tree's owner trusted, or the file system read-only, where that matters.
//
// Owners are compared as numbers. In a user namespace, where a file shows another owner than it has outside, those of
// outside are compared, unless the root directory shows the very owner that it was sealed with: then it was sealed in
// there. What has no number in the namespace is as sealed where the sealed number is none of it either; but it differs
// where the namespace has a 65534 of its own, which is what it shows. user_namespaces(7)
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
#include <memory>
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

// What was seen of a tree that is as sealed.
class Looked;

struct Verdict {
  Format format = Format::kPlain;
  Digest manifest;                       // of the manifest's text
  std::uint64_t files = 0;               // regular files that were read
  std::uint64_t bytes = 0;               // of them
  std::optional<Difference> difference;  // none: it is as sealed
  std::shared_ptr<const Looked> looked;  // where there is none
};

// An error: no manifest (kNotFound), one that does not read (kInvalid, with file:line), something that may not be read,
// or an interrupt. root: for messages.
Result<Verdict> Verify(int root_directory, std::string_view root, const WalkOptions& options = {});

struct VerifiedClone {
  sys::Fd clone;
  Verdict verdict;
};

// A detached read-only clone of what is at a path, without what is mounted in it, that was verified and has the
// manifest of that digest, in hexadecimal. Errors: as above, of a difference too; kStale: another manifest. No link on
// the way is followed. Needs CAP_SYS_ADMIN.
Result<VerifiedClone> CloneAsSealed(const std::string& root, std::string_view manifest,
                                    const WalkOptions& options = {});

// Whether nothing has changed since Verify() began. Only of a verdict without a difference; root: as it was given.
Result<std::optional<Difference>> LookAgain(int root_directory, std::string_view root, const Verdict& verdict,
                                            const WalkOptions& options = {});

// The same errors of the manifest alone: whether Verify() could begin.
Result<> CheckManifest(int root_directory, std::string_view root);

}  // namespace nucleus::attest
