#include "actuators/sys/trusted.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstdint>
#include <sstream>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

constexpr uid_t kNobody = 65534;  // /proc/sys/kernel/overflowuid
constexpr int kMostLinks = 40;    // as the kernel, path_resolution(7)

bool IsRoots(const struct stat& file) {
  if (file.st_uid == 0) return true;
  if (file.st_uid != kNobody) return false;
  const auto map = ReadFile("/proc/self/uid_map");
  return map && IsNobodyUnmapped(*map);
}

Result<> CheckOwner(const std::string& path, const struct stat& file) {
  const bool sticky = S_ISDIR(file.st_mode) && (file.st_mode & S_ISVTX) != 0;
  const bool closed = S_ISLNK(file.st_mode) || sticky || (file.st_mode & (S_IWGRP | S_IWOTH)) == 0;
  if (IsRoots(file) && closed) return {};
  return Fail(Error::Of(ErrorCode::kPermission, "trust", path, "others than root may write to it")
                  .Hint("only what root alone can change is run: chown root, chmod go-w"));
}

Result<std::string> TargetOf(const std::string& link) {
  std::array<char, PATH_MAX> target{};
  const ssize_t size = ::readlink(link.c_str(), target.data(), target.size());
  if (size < 0) return FailSys("read link", link);
  return std::string(target.data(), static_cast<std::size_t>(size));
}

}  // namespace

bool IsNobodyUnmapped(std::string_view uid_map) {
  std::istringstream lines{std::string(uid_map)};
  bool any = false;
  for (std::uint64_t inside = 0, outside = 0, count = 0; lines >> inside >> outside >> count; any = true)
    if (inside == outside && inside <= kNobody && kNobody - inside < count) return false;
  return any && lines.eof();
}

Result<> CheckTrusted(const std::string& path) {
  if (!path.starts_with('/')) return Fail(ErrorCode::kInvalid, "trust", path, "not an absolute path");
  std::string at;
  std::string rest = path;
  struct stat file{};
  for (int links = 0; !rest.empty();) {
    rest.erase(0, rest.find_first_not_of('/'));
    const std::string name = rest.substr(0, rest.find('/'));
    rest.erase(0, name.size());
    if (name.empty() || name == ".") continue;
    if (name == "..") {
      at.erase(at.empty() ? 0 : at.rfind('/'));
      continue;
    }
    const std::string next = at + "/" + name;
    if (::lstat(next.c_str(), &file) != 0) return FailSys("find", next);
    TRY(CheckOwner(next, file));
    if (!S_ISLNK(file.st_mode)) {
      at = next;
      continue;
    }
    if (++links > kMostLinks) return FailSys("find", path, ELOOP);
    const std::string target = TRY(TargetOf(next));
    if (target.starts_with('/')) at.clear();
    rest = target + rest;
  }
  if (::stat(path.c_str(), &file) != 0) return FailSys("find", path);
  if (!S_ISREG(file.st_mode) || (file.st_mode & (S_IXUSR | S_IXGRP | S_IXOTH)) == 0)
    return Fail(ErrorCode::kInvalid, "trust", path, "it is no program");
  return {};
}

}  // namespace nucleus::sys
