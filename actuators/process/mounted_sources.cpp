#include "actuators/process/mounted_sources.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "spec/core/hash.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

// Name files all lie in one directory; a volume may come to lie on another file system.
std::string InodeText(const std::string& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? std::to_string(st.st_ino) : "";
}

// Of a directory; "" where there is none.
std::string PlaceText(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0 || !S_ISDIR(st.st_mode)) return "";
  return std::to_string(st.st_dev) + ":" + std::to_string(st.st_ino);
}

// What stands for a path, which may have blanks in it.
std::string WordOf(const std::string& path) {
  constexpr std::size_t kLength = 16;
  return Sha256::Of(path).Hex().substr(0, kLength);
}

std::string_view TakeWord(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

std::map<std::string_view, std::string_view> PairsOf(std::string_view text) {
  std::map<std::string_view, std::string_view> pairs;
  while (!text.empty()) {
    const auto name = TakeWord(text);
    pairs.emplace(name, TakeWord(text));
  }
  return pairs;
}

bool IsNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto read = std::from_chars(text.begin(), text.end(), number);
  return read.ec == std::errc() && read.ptr == text.end();
}

}  // namespace

std::string MountedSourcesOf(const Launch& launch, const std::string& directory) {
  std::string text;
  const auto add = [&](std::string_view name, const std::string& number) {
    if (!number.empty()) text.append(text.empty() ? "" : " ").append(name).append(" ").append(number);
  };
  for (const auto name : kNameFiles) {
    const std::string path = directory + "/" + std::string(name);
    if (std::ranges::find(launch.mounts, path, &MountOp::source) != launch.mounts.end()) add(name, InodeText(path));
  }
  for (const auto& op : launch.mounts)
    if (op.type == MountOp::Type::kBind && !op.source.starts_with(directory + "/"))
      add(WordOf(op.source), PlaceText(op.source));
  return text;
}

std::vector<std::string> ReplacedNameFiles(std::string_view text, const std::string& directory) {
  std::vector<std::string> replaced;
  const auto mounted = PairsOf(text);
  for (const auto name : kNameFiles) {
    const auto found = mounted.find(name);
    if (found == mounted.end() || !IsNumber(found->second)) continue;
    if (InodeText(directory + "/" + std::string(name)) != found->second) replaced.emplace_back(name);
  }
  return replaced;
}

std::vector<std::string> ReplacedVolumes(std::string_view text, const std::map<std::string, std::string>& volumes) {
  std::vector<std::string> replaced;
  if (volumes.empty()) return replaced;
  const auto mounted = PairsOf(text);
  for (const auto& [name, path] : volumes) {
    const auto found = mounted.find(std::string_view(WordOf(path)));
    if (found == mounted.end()) continue;
    // What is missing, or no directory, is said of the volume: nobody is stopped for what cannot be given instead.
    const std::string now = PlaceText(path);
    if (!now.empty() && now != found->second) replaced.push_back(name);
  }
  return replaced;
}

}  // namespace nucleus::process
