#include "actuators/process/at_end.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "actuators/process/service_directory.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

std::string FileIn(const std::string& directory) {
  return directory + "/" + std::string(kAtEndFile);
}

// To be waited for only: what is executed then takes the lock as everybody does.
void AwaitProject(const std::string& directory) {
  const Directories directories{.state = "", .runtime = RuntimeOf(directory)};
  const sys::Fd lock(::open(directories.ProjectLock(ProjectOf(directory)).c_str(), O_RDONLY | O_CLOEXEC));
  while (lock && ::flock(lock.get(), LOCK_SH) != 0 && errno == EINTR) {
  }
}

}  // namespace

Result<> WriteAtEnd(const std::string& directory, const std::vector<std::string>& command) {
  TRY(sys::MakeDirectories(directory, 0755));
  std::string words;
  for (const std::string& word : command) words += word + '\0';
  return sys::ReplaceFile(FileIn(directory), words, 0600);
}

bool IsCarriedOut(const std::string& directory) {
  return sys::IsFlocked(FileIn(directory));
}

Result<> ForgetAtEnd(const std::string& directory) {
  const std::string path = FileIn(directory);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailSys("remove", path);
  return {};
}

void ExecuteAtEnd(const std::string& directory, const std::string& id) {
  const sys::Fd file(::open(FileIn(directory).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return;
  auto words = sys::ReadAll(file.get(), kAtEndFile);
  if (!words || words->empty() || words->back() != '\0') return;
  std::string last = id;
  std::vector<char*> argv;
  for (std::size_t at = 0; at < words->size(); at = words->find('\0', at) + 1) argv.push_back(words->data() + at);
  argv.push_back(last.data());
  argv.push_back(nullptr);
  // Until it has left: with the supervisor a unit ends, and all that is in its group.
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return;
  if (::fork() != 0) {
    ::close(ends[1]);
    char byte = 0;
    [[maybe_unused]] const auto left = ::read(ends[0], &byte, 1);
    return;
  }
  ::setsid();
  // Held as long as somebody is at it: the descriptor stays open in what is executed.
  ::flock(file.get(), LOCK_EX | LOCK_NB);
  ::fcntl(file.get(), F_SETFD, 0);
  // Out of the project's group, which it is to remove. Where that may not be, the group is left to the next one.
  if (const auto groups = sys::FindCgroupRoot()) [[maybe_unused]]
    const auto moved = sys::WriteKernelFile(groups->mount + "/cgroup.procs", "0");
  ::close(ends[1]);
  AwaitProject(directory);
  ::execve(argv[0], argv.data(), environ);
  ::_exit(127);
}

}  // namespace nucleus::process
