// What a root file system holds, as a text: the file .nucleus-rootfs-sha256 at its root. Pure.
//
// Plain: one line for each regular file but the manifest itself, and nothing else:
//
//     SHA256<TAB>relative/path
//
// SHA256 are 64 hexadecimal digits; the path is the rest of the line as it is, so one with a newline cannot be written.
//
// Extended: the line "nucleus-rootfs-manifest 2", then one line for the root and for everything below it:
//
//     TYPE<TAB>MODE<TAB>UID<TAB>GID<TAB>SIZE<TAB>VALUE<TAB>PATH
//
//     f   octal, 4 digits   decimal   decimal   bytes   SHA256 of the content   a regular file
//     d   octal, 4 digits   decimal   decimal   -       -                       a directory; the root is "."
//     l   -                 decimal   decimal   -       the link's target       a symbolic link
//     s   octal, 4 digits   decimal   decimal   -       p, s, cMAJOR:MINOR      a FIFO, a socket, a character or
//                                                       or bMAJOR:MINOR         block device
//
// In target and path a backslash is \\, and bytes that are no printable text (spec/core/text.hpp) are \xNN; a target
// "-" is a target. Extended attributes, times and which files are hard links of each other are not covered.
//
// Written in ascending order of the paths' bytes; read in any. A path that is absolute, empty, too long, holds ".",
// "..", an empty component or NUL, is there twice, or is the manifest's own, is refused with file:line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attest/walk.hpp"
#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::attest {

inline constexpr std::string_view kManifestName = ".nucleus-rootfs-sha256";
// Two million files of usual paths; a greater one is neither written nor read.
inline constexpr std::size_t kMostManifestBytes = 256 << 20;

enum class Format : std::uint8_t { kPlain, kExtended };

struct Entry {
  Kind kind = Kind::kRegular;
  std::uint32_t mode = 0;  // 07777; not of links
  std::uint32_t uid = 0, gid = 0;
  std::uint64_t size = 0;  // of files, as digest
  Digest digest{};
  std::string target{};  // of links; of special files what they are, SpecialText()
  std::string path{};    // the root is ""

  bool operator==(const Entry&) const = default;
};

struct Manifest {
  Format format = Format::kPlain;
  std::vector<Entry> entries;  // ascending by path; plain: regular files, of which only path and digest count

  bool operator==(const Manifest&) const = default;
};

// file: for messages.
Result<Manifest> ParseManifest(std::string_view text, std::string_view file);
// kInvalid: a path that the plain format cannot express, or too much of all.
Result<std::string> WriteManifest(const Manifest& manifest);

}  // namespace nucleus::attest
