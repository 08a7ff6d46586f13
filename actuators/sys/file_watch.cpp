#include "actuators/sys/file_watch.hpp"

#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

namespace nucleus::sys {

namespace {

constexpr std::uint32_t kGone = IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::uint32_t kNames =
    IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | kGone;
constexpr std::uint32_t kContents = IN_MODIFY | kGone;
constexpr std::uint32_t kSelf = IN_ATTRIB | kGone;

std::string Join(const std::string& directory, std::string_view name) {
  return (directory == "/" ? directory : directory + "/") + std::string(name);
}

// Takes the first component off; "" where there is none.
std::string TakeComponent(std::string& path) {
  path.erase(0, path.find_first_not_of('/'));
  std::string name = path.substr(0, path.find('/'));
  path.erase(0, name.size());
  return name;
}

std::string Target(const std::string& link) {
  std::array<char, PATH_MAX> text{};
  const ssize_t size = ::readlink(link.c_str(), text.data(), text.size());
  return size > 0 ? std::string(text.data(), static_cast<std::size_t>(size)) : "";
}

}  // namespace

void WatchedFiles::AddPath(const std::string& path, Kinds kinds) {
  constexpr int kMostLinks = 40;  // as path_resolution(7) has it
  std::string at = "/", rest = path;
  for (int links = 0;;) {
    const std::string name = TakeComponent(rest);
    if (name.empty()) return;
    if (name == ".") continue;
    if (name == "..") {
      at = at.substr(0, std::max<std::size_t>(at.rfind('/'), 1));
      continue;
    }
    const std::string next = Join(at, name);
    struct stat st{};
    const bool there = ::lstat(next.c_str(), &st) == 0;
    const bool link = there && S_ISLNK(st.st_mode);
    if (!there || link || rest.empty()) names[at][name] |= kinds;
    if (!there || (link && ++links > kMostLinks)) return;
    if (!link) {
      at = next;
      continue;
    }
    const std::string target = Target(next);
    if (target.starts_with('/')) at = "/";
    rest = target + rest;
  }
}

FileWatch FileWatch::Open() {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  const int error = fd ? 0 : errno;
  return {std::move(fd), error};
}

Result<FileWatch::Interest*> FileWatch::Add(const std::string& path, std::uint32_t events,
                                            std::map<int, Interest>& interests) {
  const int descriptor = ::inotify_add_watch(fd_.get(), path.c_str(), events | IN_MASK_ADD);
  if (descriptor >= 0) return &interests[descriptor];
  if (errno == ENOENT || errno == ENOTDIR) return nullptr;
  Error error = Error::Sys("watch", path);
  if (error.sys_errno == ENOSPC) error.hint = "raise the sysctl fs.inotify.max_user_watches";
  return Fail(std::move(error));
}

Result<> FileWatch::Want(const WatchedFiles& wanted) {
  if (blind()) {
    Error error = Error::Sys("watch", "files", error_);
    if (error_ == EMFILE) error.hint = "raise the sysctl fs.inotify.max_user_instances";
    return Fail(std::move(error));
  }
  std::map<int, Interest> interests;
  Result<> first;
  const auto add = [&](const std::string& path, std::uint32_t events, const auto& note) {
    const auto interest = Add(path, events, interests);
    if (interest && *interest != nullptr) note(**interest);
    if (!interest && first) first = Fail(interest.error());
  };
  for (const auto& [directory, names] : wanted.names) {
    add(directory, kNames, [&](Interest& interest) {
      for (const auto& [name, kinds] : names) interest.names[name] |= kinds;
    });
  }
  for (const auto& [directory, kinds] : wanted.all_names)
    add(directory, kNames, [&](Interest& interest) { interest.all |= kinds; });
  for (const auto& [path, kinds] : wanted.contents)
    add(path, kContents, [&](Interest& interest) { interest.self |= kinds; });
  for (const auto& [path, kinds] : wanted.selves) add(path, kSelf, [&](Interest& interest) { interest.self |= kinds; });
  for (const auto& [descriptor, interest] : interests_)
    if (!interests.contains(descriptor)) ::inotify_rm_watch(fd_.get(), descriptor);
  interests_ = std::move(interests);
  return first;
}

WatchedFiles::Kinds FileWatch::Heard() {
  WatchedFiles::Kinds kinds = 0;
  alignas(inotify_event) std::array<char, 16 << 10> buffer{};
  while (true) {
    const ssize_t size = ::read(fd_.get(), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return kinds;
    for (std::size_t at = 0; at + sizeof(inotify_event) <= static_cast<std::size_t>(size);) {
      inotify_event event{};
      std::memcpy(&event, buffer.data() + at, sizeof event);
      const std::string name = event.len > 0 ? std::string(buffer.data() + at + sizeof event) : std::string();
      at += sizeof event + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) kinds = kEverybody;
      const auto found = interests_.find(event.wd);
      if (found == interests_.end()) continue;
      const Interest& interest = found->second;
      if (const auto named = interest.names.find(name); named != interest.names.end()) kinds |= named->second;
      kinds |= name.empty() ? interest.self : interest.all;
      if ((event.mask & kGone) == 0) continue;
      kinds |= interest.all;
      for (const auto& [each, whose] : interest.names) kinds |= whose;
    }
  }
}

}  // namespace nucleus::sys
