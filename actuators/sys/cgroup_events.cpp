#include "actuators/sys/cgroup_events.hpp"

#include <charconv>

#include "actuators/sys/file.hpp"

namespace nucleus::cgroup {

namespace {

// Kernel files of a group that is removed while they are open fail with ENODEV.
Result<std::optional<std::string>> Read(const std::string& path) {
  auto text = sys::ReadFileIfThere(path);
  if (!text && text.error().sys_errno == ENODEV) return std::nullopt;
  return text;
}

}  // namespace

std::optional<std::uint64_t> FindKey(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (!line.starts_with(key) || !line.substr(key.size()).starts_with(' ')) continue;
    const auto number = line.substr(key.size() + 1);
    std::uint64_t value = 0;
    const auto [end, err] = std::from_chars(number.data(), number.data() + number.size(), value);
    if (err != std::errc() || end != number.data() + number.size()) return std::nullopt;
    return value;
  }
  return std::nullopt;
}

Result<std::optional<Events>> ReadEvents(const std::string& directory) {
  const auto text = TRY(Read(directory + "/cgroup.events"));
  if (!text) return std::nullopt;
  return Events{.populated = FindKey(*text, "populated").value_or(0) != 0,
                .frozen = FindKey(*text, "frozen").value_or(0) != 0};
}

Result<std::optional<std::uint64_t>> OomKills(const std::string& directory) {
  const auto text = TRY(Read(directory + "/memory.events"));
  if (!text) return std::nullopt;
  return FindKey(*text, "oom_kill");
}

}  // namespace nucleus::cgroup
