#include "actuators/sys/id_ranges.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <string>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

bool TakeNumber(std::string_view& text, std::uint32_t& value) {
  const auto start = text.find_first_not_of(" \t");
  if (start == std::string_view::npos) return false;
  text.remove_prefix(start);
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::string_view TakeLine(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

Result<std::vector<IdMapLine>> ReadMap(const char* path) {
  return ParseIdMap(TRY(ReadFile(path)));
}

// No range that would go beyond the last id, which is none: -1 means "no change" to setresuid(2).
bool Fits(std::uint32_t first, std::uint32_t count) {
  return count > 0 && first <= std::numeric_limits<std::uint32_t>::max() - count;
}

// "user:first:count" a line.
template <class Wanted>
std::vector<IdSpan> SpansOf(std::string_view text, const Wanted& wanted) {
  std::vector<IdSpan> spans;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    const auto who = line.substr(0, line.find(':'));
    if (who.empty() || who.size() == line.size() || !wanted(who)) continue;
    line.remove_prefix(who.size() + 1);
    IdSpan span;
    if (!TakeNumber(line, span.first) || !line.starts_with(':')) continue;
    line.remove_prefix(1);
    if (TakeNumber(line, span.count) && line.empty() && Fits(span.first, span.count)) spans.push_back(span);
  }
  return spans;
}

}  // namespace

std::vector<IdMapLine> ParseIdMap(std::string_view text) {
  std::vector<IdMapLine> map;
  while (!text.empty()) {
    std::string_view line = TakeLine(text);
    IdMapLine range;
    if (TakeNumber(line, range.inside) && TakeNumber(line, range.outside) && TakeNumber(line, range.count) &&
        line.empty() && Fits(range.inside, range.count) && Fits(range.outside, range.count))
      map.push_back(range);
  }
  return map;
}

Result<std::vector<IdMapLine>> OwnUids() {
  return ReadMap("/proc/self/uid_map");
}
Result<std::vector<IdMapLine>> OwnGids() {
  return ReadMap("/proc/self/gid_map");
}

bool IsWhole(const std::vector<IdMapLine>& map) {
  return map.size() == 1 && map.front() == IdMapLine{0, 0, std::numeric_limits<std::uint32_t>::max()};
}

std::vector<IdSpan> ParseSubordinate(std::string_view text, std::string_view user, std::uint32_t uid) {
  const std::string number = std::to_string(uid);
  return SpansOf(text, [&](std::string_view who) { return who == user || who == number; });
}

std::vector<IdSpan> ParseAllSubordinate(std::string_view text) {
  return SpansOf(text, [](std::string_view) { return true; });
}

bool SetgroupsDenied() {
  const auto text = ReadFileIfThere("/proc/self/setgroups");
  return text && *text && (*text)->starts_with("deny");
}

}  // namespace nucleus::sys
