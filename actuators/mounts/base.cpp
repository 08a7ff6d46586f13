#include "actuators/mounts/base.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "actuators/sys/file.hpp"
#include "actuators/sys/openat2.hpp"
#include "spec/core/paths.hpp"

namespace nucleus::mounts {

namespace {

// What a descriptor refers to, by name.
Result<std::string> PathOf(const sys::Fd& fd) {
  std::array<char, 4096> text{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd.get());
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
  if (size < 0) return FailSys("readlink", link);
  return std::string(text.data(), static_cast<std::size_t>(size));
}

}  // namespace

Result<std::unique_ptr<Rootfs>> Rootfs::Open(const std::string& path) {
  sys::Fd root = TRY(sys::Open(path, O_PATH | O_DIRECTORY));
  std::string real = TRY(PathOf(root));
  return std::unique_ptr<Rootfs>(new Rootfs(std::move(root), real == "/" ? "" : std::move(real)));
}

std::optional<std::string> Rootfs::Directory(const std::string& path) const {
  const sys::Fd fd(sys::OpenAt2(root_.get(), path.c_str(), O_PATH | O_DIRECTORY, sys::kInRoot));
  if (!fd) return std::nullopt;
  const auto real = PathOf(fd);
  if (!real || !IsAtOrBelow(*real, real_)) return std::nullopt;
  const std::string inside = real->substr(real_.size());
  return inside.empty() ? "/" : inside;
}

Entry Rootfs::Look(const std::string& path) const {
  const sys::Fd fd(sys::OpenAt2(root_.get(), path.c_str(), O_PATH | O_NOFOLLOW, sys::kInRoot));
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0) return {};
  const auto kind = S_ISDIR(st.st_mode)   ? Entry::Kind::kDirectory
                    : S_ISREG(st.st_mode) ? Entry::Kind::kFile
                                          : Entry::Kind::kOther;
  return {kind, st.st_mode & 07777U, st.st_uid, st.st_gid};
}

std::optional<std::string> EmptyRoot::Directory(const std::string& path) const {
  const auto link = links_.find(path);
  return link == links_.end() ? std::nullopt : std::optional(link->second);
}

Entry EmptyRoot::Look(const std::string& path) const {
  return links_.contains(path) ? Entry{.kind = Entry::Kind::kOther} : Entry{};
}

}  // namespace nucleus::mounts
