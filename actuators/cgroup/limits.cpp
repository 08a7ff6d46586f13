#include "actuators/cgroup/limits.hpp"

#include <fcntl.h>

#include <algorithm>
#include <array>

#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::cgroup {

namespace {

constexpr auto kFiles = std::to_array<LimitFile>({
    {"memory.high", "memory", "max"},
    {"memory.max", "memory", "max"},
    {"memory.swap.max", "memory", "max"},
    {"memory.oom.group", "memory", "0"},
    {"cpu.max", "cpu", "max 100000"},
    {"cpu.weight", "cpu", "100"},
    {"pids.max", "pids", "max"},
});

constexpr auto kIoKeys = std::to_array<std::string_view>({"rbps", "wbps", "riops", "wiops"});

std::string_view Trimmed(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  return text;
}

// None where the file, or the whole group, is not there.
Result<std::optional<std::string>> ReadInterface(const std::string& path) {
  auto text = sys::ReadBriefIfThere(AT_FDCWD, path);
  if (!text && text.error().sys_errno == ENODEV) return std::nullopt;  // removed while it was open
  return text;
}

}  // namespace

std::span<const LimitFile> LimitFiles() {
  return kFiles;
}

std::optional<std::string_view> ControllerOf(std::string_view fact) {
  if (fact.starts_with(kIoPrefix)) return "io";
  for (const auto& file : kFiles) {
    if (file.name == fact) return file.controller;
  }
  return std::nullopt;
}

Facts ParseIoMax(std::string_view text) {
  Facts facts;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const auto words = sys::SplitWords(line);
    if (words.empty()) continue;
    std::string value;
    for (const auto key : kIoKeys) {
      std::string_view limit = "max";
      for (std::size_t i = 1; i < words.size(); ++i) {
        const std::string_view word = words[i];
        if (word.starts_with(key) && word.substr(key.size()).starts_with('=')) limit = word.substr(key.size() + 1);
      }
      if (!value.empty()) value += ' ';
      value += std::string(key) + "=" + std::string(limit);
    }
    facts[std::string(kIoPrefix) + words[0]] = value;
  }
  return facts;
}

Result<Facts> ReadLimits(const std::string& directory, const Facts& wanted,
                         const std::optional<std::vector<std::string>>& controllers) {
  const auto enabled = [&](std::string_view controller) {
    return !controllers || std::ranges::find(*controllers, controller) != controllers->end();
  };
  Facts facts;
  for (const auto& file : kFiles) {
    if (!enabled(file.controller)) continue;
    const std::string name(file.name);
    const auto text = TRY(ReadInterface(directory + "/" + name));
    if (!text) continue;
    const auto value = Trimmed(*text);
    if (value != file.standard || wanted.contains(name)) facts[name] = value;
  }
  if (!enabled("io")) return facts;
  const auto io = TRY(ReadInterface(directory + "/" + std::string(kIoMax)));
  if (!io) return facts;
  for (auto& [name, value] : ParseIoMax(*io)) {
    if (value != kIoStandard || wanted.contains(name)) facts[name] = value;
  }
  for (const auto& [name, value] : wanted) {  // the kernel prints no line for a device without a limit
    if (name.starts_with(kIoPrefix)) facts.emplace(name, kIoStandard);
  }
  return facts;
}

}  // namespace nucleus::cgroup
