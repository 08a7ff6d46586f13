// hosts, resolv.conf and hostname of a service. They are bind mounted: the file that is there is the one to rewrite.
#include <unistd.h>

#include <array>

#include "actuators/netns/parts.hpp"
#include "actuators/sys/file.hpp"
#include "state/parts/netns_facts.hpp"

namespace nucleus::netns {

namespace {

constexpr mode_t kDirectoryMode = 0755;  // the workload's user reads the files through it while they are mounted
constexpr mode_t kFileMode = 0644;

Result<> Write(const std::string& path, const std::string& text) {
  // A reader in the container may look at any moment: what is right is left alone.
  const auto now = sys::ReadFileIfThere(path);
  if (now && *now && **now == text) return {};
  return sys::RewriteInPlace(path, text, kFileMode);
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
  for (const auto name : std::array{kHostsFile, kResolvFile, kHostnameFile}) {
    const std::string path = directory + "/" + std::string(name);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return FailSys("remove", path);
  }
  sys::RemoveIfEmpty(directory, 2);  // shared with the process part, and with the project's other resources
  return {};
}

}  // namespace nucleus::netns
