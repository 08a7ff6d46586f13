#include "actuators/sys/living_thread.hpp"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <charconv>
#include <memory>
#include <string_view>
#include <utility>

#include "actuators/sys/file.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::sys {

namespace {

pid_t NumberIn(std::string_view text) {
  pid_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// "7 (sh) S 1 ..."; the name may hold anything: proc_pid_stat(5).
bool Lives(const std::string& proc) {
  const auto text = ReadFile(proc + "/stat");
  if (!text) return false;
  const auto name_end = text->rfind(") ");
  if (name_end == std::string::npos || name_end + 2 >= text->size()) return false;
  const char state = (*text)[name_end + 2];
  return state != 'Z' && state != 'X';
}

// Not above zero: it has ended. pidfd_open(2), of its fdinfo.
pid_t ProcessOf(const Fd& pidfd) {
  constexpr std::string_view kKey = "\nPid:\t";
  const auto text = ReadFile("/proc/self/fdinfo/" + std::to_string(pidfd.get()));
  const auto at = text ? text->find(kKey) : std::string::npos;
  return at == std::string::npos ? 0 : NumberIn(std::string_view(*text).substr(at + kKey.size()));
}

int PidfdOpenThread(pid_t thread) {
  constexpr unsigned kThread = O_EXCL;  // PIDFD_THREAD
  return static_cast<int>(::syscall(SYS_pidfd_open, thread, kThread));
}

bool Goes(const Fd& pidfd) {
  const auto ended = WaitForExit(pidfd, 0);
  return ended && !*ended;
}

std::optional<pid_t> LookForThread(const std::string& tasks) {
  const std::unique_ptr<DIR, decltype([](DIR* d) { ::closedir(d); })> open(::opendir(tasks.c_str()));
  while (const dirent* entry = open ? ::readdir(open.get()) : nullptr) {
    const pid_t thread = NumberIn(entry->d_name);
    if (thread != 0 && Lives(tasks + "/" + entry->d_name)) return thread;
  }
  return std::nullopt;
}

}  // namespace

std::optional<pid_t> LivingThread(pid_t pid) {
  // Those that a thread makes just before it exits are behind what has been read of the directory.
  constexpr int kLooks = 8;
  const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
  std::optional<pid_t> thread;
  for (int look = 0; look < kLooks && !thread; ++look) thread = LookForThread(tasks);
  return thread;
}

std::string ProcOf(pid_t pid) {
  const std::string proc = "/proc/" + std::to_string(pid);
  char first = 0;
  if (::readlink((proc + "/ns/mnt").c_str(), &first, 1) >= 0 || errno != ENOENT) return proc;
  const auto thread = LivingThread(pid);
  return thread ? proc + "/task/" + std::to_string(*thread) : proc;
}

Fd OpenThread(const Fd& process, pid_t thread) {
  Fd opened(PidfdOpenThread(thread));
  if (!opened) return {};
  // It may have exited, and its number be a stranger's by now; only while the process lives is its own number its own.
  const std::string task = "/proc/" + std::to_string(ProcessOf(process)) + "/task/" + std::to_string(thread);
  const bool is_its = ::access(task.c_str(), F_OK) == 0;
  return is_its && Goes(opened) && Goes(process) ? std::move(opened) : Fd();
}

Fd ThreadToEnter(const Fd& pidfd) {
  constexpr int kTries = 8;
  const pid_t pid = ProcessOf(pidfd);
  if (pid <= 0 || Lives("/proc/" + std::to_string(pid))) return {};
  Fd opened;
  for (int i = 0; i < kTries && !opened && Goes(pidfd); ++i) {
    const auto thread = LivingThread(pid);
    if (!thread) break;
    opened = OpenThread(pidfd, *thread);
  }
  return opened;
}

std::string_view WhyNotEntered() {
  const Fd own(PidfdOpenThread(::gettid()));
  if (!own && errno == EINVAL) return "it has ended, or its first thread has: Linux before 6.9 enters by no other";
  return "it has ended, or its first thread has, and no thread of it stays long enough to enter by";
}

}  // namespace nucleus::sys
