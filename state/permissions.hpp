// Who may read the state: root alone (0700, 0600), and the members of a group `nucleus` where that group exists
// (0750, 0640).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "spec/core/error.hpp"

namespace nucleus::state {

struct FileAccess {
  std::optional<gid_t> group;  // none: nobody but the owner

  // The group by its name, for root; none for others, whose state is their own.
  static FileAccess Find();
  [[nodiscard]] mode_t DirectoryMode() const { return group ? 0750 : 0700; }
  [[nodiscard]] mode_t FileMode() const { return group ? 0640 : 0600; }
};

// Makes a directory with those above it (0755), or widens ours to the group where it is private still.
Result<> PrepareDirectory(const std::string& path, const FileAccess& access);
// Makes an empty file, or widens ours. SQLite gives its journals the mode and owner of the database.
Result<> PrepareFile(const std::string& path, const FileAccess& access);
// Widens a journal of ours that was kept from before the group was there; makes none.
Result<> PrepareJournal(const std::string& path, const FileAccess& access);

}  // namespace nucleus::state
