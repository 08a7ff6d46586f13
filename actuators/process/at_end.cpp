#include "actuators/process/at_end.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::process {

namespace {

std::string FileIn(const std::string& directory) {
  return directory + "/" + std::string(kAtEndFile);
}

}  // namespace

Result<> WriteAtEnd(const std::string& directory, const std::vector<std::string>& command) {
  TRY(sys::MakeDirectories(directory, 0755));
  std::string words;
  for (const std::string& word : command) words += word + '\0';
  return sys::ReplaceFile(FileIn(directory), words, 0600);
}

bool HasAtEnd(const std::string& directory) {
  return ::access(FileIn(directory).c_str(), F_OK) == 0;
}

Result<> ForgetAtEnd(const std::string& directory) {
  const std::string path = FileIn(directory);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return FailSys("remove", path);
  return {};
}

void ExecuteAtEnd(const std::string& directory, const std::string& id) {
  auto words = sys::ReadFile(FileIn(directory));
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
  // Out of the project's group, which it is to remove. Where that may not be, the group is left to the next one.
  if (const auto groups = sys::FindCgroupRoot()) [[maybe_unused]]
    const auto moved = sys::WriteKernelFile(groups->mount + "/cgroup.procs", "0");
  ::execve(argv[0], argv.data(), environ);
  ::_exit(127);
}

}  // namespace nucleus::process
