#include "cli/users_machine.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "actuators/netns/namespace.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"

namespace nucleus::cli {

std::string UsersMachine(const Directories& directories) {
  return directories.runtime + "/machine";
}

Result<bool> JoinUsersMachine(const Directories& directories) {
  if (::geteuid() == 0) return false;
  const auto keeper = process::FindSupervisor(UsersMachine(directories));
  if (!keeper || !*keeper) return false;
  std::error_code ignored;
  const auto here = std::filesystem::current_path(ignored);
  // Whose directories are used was decided before: root has others.
  ::setenv("NUCLEUS_STATE_DIR", directories.state.c_str(), 1);
  ::setenv("NUCLEUS_RUNTIME_DIR", directories.runtime.c_str(), 1);
  if (::setns((*keeper)->pidfd.get(), CLONE_NEWUSER | CLONE_NEWNS) != 0) return FailSys("enter", "user namespace");
  const auto pin = TRY(netns::OpenPin(UsersMachine(directories) + "/netns"));
  if (pin.state != netns::PinState::kMounted)
    return Fail(ErrorCode::kNotFound, "enter", "network namespace", "it is not where it was mounted");
  if (::setns(pin.fd.get(), CLONE_NEWNET) != 0) return FailSys("enter", "network namespace");
  std::filesystem::current_path(here, ignored);
  return true;
}

NetworkState StateOfUsersMachine(const Directories& directories) {
  const std::string directory = UsersMachine(directories);
  if (::access(directory.c_str(), F_OK) != 0) return {};  // root's machine is the one there is
  const auto keeper = process::FindSupervisor(directory);
  if (!keeper) return {};
  if (!*keeper) return {"", "", "it is not kept", std::vector<std::string>()};
  constexpr std::size_t kLongest = 64 << 10;
  // In a directory of the user's: whatever that is now.
  const sys::Fd file(
      ::open((directory + "/" + std::string(kStatusFile)).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  const auto text = sys::ReadAll(file.get(), kStatusFile, kLongest);
  return ReadNetworkState(text ? std::string_view(*text) : std::string_view());
}

bool InUsersMachine(const Directories& directories) {
  const auto uids = sys::OwnUids();
  if (!uids || sys::IsWhole(*uids)) return false;
  const auto keeper = process::FindSupervisor(UsersMachine(directories));
  return keeper && *keeper;
}

}  // namespace nucleus::cli
