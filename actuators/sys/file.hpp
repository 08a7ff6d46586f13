// Small files, whole. Every descriptor is CLOEXEC; every error names the call and the path.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::sys {

Result<Fd> Open(const std::string& path, int flags, mode_t mode = 0);

// At most `limit` bytes; a larger file is an error. Works for /proc and cgroup files, whose size says nothing.
Result<std::string> ReadFile(const std::string& path, std::size_t limit = 16 << 20);
Result<std::string> ReadAll(int fd, std::string_view subject, std::size_t limit = 16 << 20);
// No value where the file does not exist, nor where it is one of a cgroup that is removed while it is read (ENODEV).
Result<std::optional<std::string>> ReadFileIfThere(const std::string& path, std::size_t limit = 16 << 20);
// The same, below `directory` (AT_FDCWD), with one read where it is less than a page: for regular files, sysctls and
// cgroup files, which give all they have, not for other files of /proc, nor for pipes.
Result<std::optional<std::string>> ReadBriefIfThere(int directory, const std::string& path);
Result<std::string> ReadBrief(int fd, const std::string& path);  // the same; path: for messages
// The rest of a regular file that seemed to have so much, and may have more by now: with one read where it has not.
Result<std::string> ReadRegular(int fd, std::size_t size, const std::string& path);

Result<> WriteAll(int fd, std::string_view data, std::string_view subject);
// One write(2) into an existing file of the kernel's (cgroup, proc, sysctl). The error carries path and data.
Result<> WriteKernelFile(const std::string& path, std::string_view data);
// Where somebody wants a result to be: a file is replaced as by ReplaceFile; /dev/stdout, /dev/fd/N and the like are
// the descriptor, and /dev/null and its kin are written to. kInvalid: another link, or a pipe that others may have made
// and read; neither is followed, nor replaced.
Result<> WriteOut(const std::string& path, std::string_view data, mode_t mode);
// A new file beside it, then rename(2): readers see the old or the new. `durable`: fsync of file and directory.
Result<> ReplaceFile(const std::string& path, std::string_view data, mode_t mode, bool durable = false);
// A name beside it that nothing has: RemoveTemporaries() finds it again.
Result<std::string> TemporaryName(const std::string& path);
// What a ReplaceFile of that path left behind when it was killed. Not while somebody may be replacing it.
void RemoveTemporaries(const std::string& path);
// Truncates and rewrites the same inode, for files that are bind mounted elsewhere; made if missing. kConflict: whoever
// has it mounted holds a lease on it, and was waited for a second; fcntl(2).
Result<> RewriteInPlace(const std::string& path, std::string_view data, mode_t mode);

// Whether somebody has it locked with flock(2); not, where it is not there.
bool IsFlocked(const std::string& path);

// mkdir(2) for each missing component below `base` (which exists), opened without following links.
Result<> MakeDirectories(const std::string& path, mode_t mode);
// An absolute path, if it is an empty directory or not there, and then the directory above it, so many levels: the last
// one out of a shared directory takes it along.
void RemoveIfEmpty(std::string path, int levels);
// Removes a tree without following links and without leaving its file system. Absent is success.
Result<> RemoveTree(const std::string& path);
// The same of a name in a directory that is held open: nothing above it is looked up again. path: for messages.
Result<> RemoveTreeAt(int parent, const std::string& name, const std::string& path);

Result<std::optional<std::string>> GetXattr(const std::string& path, std::string_view name);
Result<> SetXattr(const std::string& path, std::string_view name, std::string_view value);

}  // namespace nucleus::sys
