// The user database of a directory tree: its own etc/passwd and etc/group, read as text.
//
// Never through NSS: that would load code of whoever owns the tree (CVE-2019-14271). The files are opened inside the
// tree (openat2), at most 1 MiB of regular file is read, and neither a FIFO nor a device can make us wait.
// passwd(5), group(5). The parsers are pure and pass over lines that are not as the manual says.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::sys {

struct UserEntry {
  std::string name;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::string home;
  std::string shell;
  bool operator==(const UserEntry&) const = default;
};

struct GroupEntry {
  std::string name;
  std::uint32_t gid = 0;
  bool operator==(const GroupEntry&) const = default;
};

std::vector<UserEntry> ParsePasswd(std::string_view text);
std::vector<GroupEntry> ParseGroup(std::string_view text);

// The first entry decides, as in getpwnam(3); null: none.
const UserEntry* FindUser(const std::vector<UserEntry>& users, std::string_view name);
const UserEntry* FindUser(const std::vector<UserEntry>& users, std::uint32_t uid);
const GroupEntry* FindGroup(const std::vector<GroupEntry>& groups, std::string_view name);
const GroupEntry* FindGroup(const std::vector<GroupEntry>& groups, std::uint32_t gid);

// A file inside `root`, whole. No value where there is none. kInvalid for what is not a regular file, or larger.
Result<std::optional<std::string>> ReadFileInRoot(const std::string& root, const std::string& path,
                                                  std::size_t limit = 1 << 20);

struct Accounts {
  std::vector<UserEntry> users;
  std::vector<GroupEntry> groups;
};
Result<Accounts> ReadAccounts(const std::string& root);

// A number of 0 .. 2^31-1 in plain decimal. No value where the text does not begin like a number; kInvalid for one that
// is out of range or malformed: -1 is "leave as it is" to the kernel, and greater ones wrap round in careless
// programs (CVE-2024-40635).
Result<std::optional<std::uint32_t>> ParseId(std::string_view text);

}  // namespace nucleus::sys
