#include "actuators/process/own_program.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/process/start_supervisor.hpp"
#include "actuators/sys/own_programs.hpp"

namespace nucleus::process {

namespace {

constexpr const char* kSelf = "/proc/self/exe";

// The link leads to a mount of the namespace that we were executed in. From another, which an ordinary user's nucleus
// has entered since, it cannot be cloned; then by its path.
Result<sys::Fd> OpenSelf() {
  auto clone = OpenProgram(kSelf);
  if (clone || clone.error().sys_errno != EINVAL) return clone;
  std::array<char, PATH_MAX> path{};
  const ssize_t size = ::readlink(kSelf, path.data(), path.size());
  if (size <= 0) return FailSys("readlink", kSelf);
  clone = OpenProgram(std::string(path.data(), static_cast<std::size_t>(size)));
  // What has our path here may be another file.
  struct stat its{}, ours{};
  if (!clone || ::fstat(clone->get(), &its) != 0 || ::stat(kSelf, &ours) != 0) return clone;
  if (its.st_dev == ours.st_dev && its.st_ino == ours.st_ino) return clone;
  return Fail(ErrorCode::kConflict, "clone", kSelf, "its path leads to another file here");
}

// What is executed from the clone learns where the programs beside it are.
struct Variables {
  std::string place;
  std::vector<char*> list;
};
Variables WithPlace(char** environment) {
  Variables variables{std::string(sys::kPlaceVariable) + "=" + std::string(sys::OwnPlace()), {}};
  const std::string_view name(variables.place.data(), std::strlen(sys::kPlaceVariable) + 1);
  for (char** variable = environment; *variable != nullptr; ++variable) {
    if (!std::string_view(*variable).starts_with(name)) variables.list.push_back(*variable);
  }
  variables.list.push_back(variables.place.data());
  variables.list.push_back(nullptr);
  return variables;
}

}  // namespace

// The root of a mount that has no place. Read-only alone says nothing: the machine's own mount may be so for a while.
Result<bool> RunsFromClone() {
  std::array<char, 2> link{};
  const ssize_t size = ::readlink(kSelf, link.data(), link.size());
  if (size < 0) return FailSys("readlink", kSelf);
  if (size != 1) return false;
  struct statvfs at{};
  if (::statvfs(kSelf, &at) != 0) return FailSys("statvfs", kSelf);
  return (at.f_flag & ST_RDONLY) != 0;
}

Result<> ForbidTracing() {
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return FailSys("prctl", "PR_SET_DUMPABLE");
  return {};
}

Result<> RunFromClone(char** argv, char** environment) {
  if (!TRY(RunsFromClone())) {
    sys::RememberOwnPlace();
    const sys::Fd clone = TRY(OpenSelf());
    auto variables = WithPlace(environment);
    ::syscall(SYS_execveat, clone.get(), "", argv, variables.list.data(), AT_EMPTY_PATH);
    return FailSys("execveat", kSelf);
  }
  return ForbidTracing();
}

}  // namespace nucleus::process
