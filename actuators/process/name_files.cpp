#include "actuators/process/name_files.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

std::optional<ino_t> InodeOf(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? std::optional(st.st_ino) : std::nullopt;
}

std::string_view TakeWord(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

}  // namespace

std::string NameFilesOf(const Launch& launch, const std::string& directory) {
  std::string text;
  for (const auto name : kNameFiles) {
    const std::string path = directory + "/" + std::string(name);
    if (std::ranges::find(launch.mounts, path, &MountOp::source) == launch.mounts.end()) continue;
    const auto inode = InodeOf(path);
    if (inode) text.append(text.empty() ? "" : " ").append(name).append(" ").append(std::to_string(*inode));
  }
  return text;
}

std::vector<std::string> ReplacedNameFiles(std::string_view text, const std::string& directory) {
  std::vector<std::string> replaced;
  while (!text.empty()) {
    const auto name = TakeWord(text), number = TakeWord(text);
    ino_t inode = 0;
    const auto read = std::from_chars(number.begin(), number.end(), inode);
    if (read.ec != std::errc() || read.ptr != number.end()) continue;
    if (std::ranges::find(kNameFiles, name) == kNameFiles.end()) continue;
    if (InodeOf(directory + "/" + std::string(name)) != inode) replaced.emplace_back(name);
  }
  return replaced;
}

}  // namespace nucleus::process
