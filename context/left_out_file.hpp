// What a walk for what is left out of a context has found, folder by folder, and the file that it is kept in.
//
// The file is written beside and renamed, has the digest of its contents in it and is read only where it and its
// directory are the caller's alone. What is damaged, larger than kMostKeptBytes or of another key is as if it were not
// there. Threads and processes may store and load at once. Of the files in a directory the latest kMostKeptFiles stay.
#pragma once

#include <time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/core/hash.hpp"

namespace nucleus::context {

inline constexpr std::size_t kMostKeptBytes = 16 << 20;
inline constexpr std::size_t kMostKeptFiles = 64;

struct Stamp {  // of a directory; any change of its names changes it
  std::uint64_t device = 0, inode = 0;
  std::uint64_t changed = 0, modified = 0;  // nanoseconds since 1970
  bool operator==(const Stamp&) const = default;
};

struct Folder {
  Stamp stamp;
  bool settled = false;               // the stamp says all: a change since would show in it
  std::vector<std::string> left_out;  // names in it
  std::vector<std::string> folders;   // names in it that are entered
  bool operator==(const Folder&) const = default;
};
using FolderTree = std::map<std::string, Folder, std::less<>>;  // by path; "" is the context itself

std::optional<FolderTree> LoadFolders(const std::string& directory, const Digest& key);
// Makes the directory where it is missing, but not what is above it.
Result<> StoreFolders(const std::string& directory, const Digest& key, const FolderTree& tree);

// Exposed for tests and fuzzers.
std::string EncodeFolders(const Digest& key, const FolderTree& tree);
std::optional<FolderTree> DecodeFolders(const Digest& key, std::string_view data);

}  // namespace nucleus::context
