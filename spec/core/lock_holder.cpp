#include "spec/core/lock_holder.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "spec/core/text.hpp"

namespace nucleus {

namespace {

constexpr std::size_t kLongestCommand = 200, kLongestProject = 100;

// The command line of this process, on one line.
std::string Command() {
  const int fd = ::open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::array<char, kLongestCommand> text{};
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  std::string command(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (command.ends_with('\0')) command.pop_back();
  std::ranges::replace_if(command, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; }, ' ');
  return command;
}

}  // namespace

std::string LockHolderLine(std::string_view project) {
  std::string line = std::to_string(::getpid()) + " " + Command();
  if (!project.empty()) line.append(", for ").append(project.substr(0, kLongestProject));
  return line + "\n";
}

LockHolder ParseLockHolder(std::string_view line) {
  line = line.substr(0, line.find_first_of(std::string_view("\n\0", 2)));
  LockHolder holder{.pid = 0, .text = "another process"};
  const auto end = std::from_chars(line.data(), line.data() + line.size(), holder.pid).ptr;
  const auto digits = static_cast<std::size_t>(end - line.data());
  if (holder.pid <= 0 || digits == line.size() || line[digits] != ' ') return {.pid = 0, .text = holder.text};
  holder.text = "process " + std::to_string(holder.pid) + " (" + Printable(line.substr(digits + 1)) + ")";
  return holder;
}

}  // namespace nucleus
