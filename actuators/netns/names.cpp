// hosts, resolv.conf and hostname of a service. They are bind mounted: the file that is there is the one to rewrite.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actuators/netns/parts.hpp"
#include "actuators/sys/file.hpp"
#include "state/parts/netns_facts.hpp"

namespace nucleus::netns {

namespace {

constexpr mode_t kDirectoryMode = 0755;  // the workload's user reads the files through it while they are mounted

// What is no file of ours makes room for one. Not a directory: nobody made that by mistake.
Result<> MakeRoom(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0 || S_ISREG(st.st_mode)) return {};
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? Result<>() : FailSys("remove", path);
}

Result<> Write(const std::string& path, const std::string& text) {
  TRY(MakeRoom(path));
  // A reader in the container may look at any moment: what is right is left alone.
  const sys::Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0) return sys::RewriteInPlace(path, text, kNameFileMode);
  if (st.st_uid != ::geteuid() && ::fchown(fd.get(), ::geteuid(), ::getegid()) != 0) return FailSys("chown", path);
  const auto now = sys::ReadAll(fd.get(), path);
  if (!now || *now != text) return sys::RewriteInPlace(path, text, kNameFileMode);
  const bool right = (st.st_mode & 07777) == kNameFileMode;
  return right || ::fchmod(fd.get(), kNameFileMode) == 0 ? Result<>() : FailSys("chmod", path);
}

}  // namespace

Result<> ApplyNames(const NamesWanted& wanted) {
  TRY(sys::MakeDirectories(wanted.directory, kDirectoryMode));
  const std::string at = wanted.directory + "/";
  TRY(Write(at + std::string(kHostsFile), wanted.hosts));
  TRY(Write(at + std::string(kResolvFile), wanted.resolv_conf));
  return Write(at + std::string(kHostnameFile), HostnameFile(wanted));
}

Result<> UndoNames(const std::string& directory) {
  for (const auto name : kNameFiles) {
    const std::string path = directory + "/" + std::string(name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return FailSys("remove", path);
  }
  sys::RemoveIfEmpty(directory, 2);  // shared with the process part, and with the project's other resources
  return {};
}

}  // namespace nucleus::netns
