#include "actuators/cgroup/usage.hpp"

#include <fcntl.h>

#include <array>
#include <charconv>

#include "actuators/sys/cgroup_events.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/living_thread.hpp"

namespace nucleus::cgroup {

namespace {

std::string_view TakeWord(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

std::string_view TakeLine(std::string_view& text) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

template <class Number>
bool Read(std::string_view text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size();
}

// "1.25" -> 125
bool ReadHundredths(std::string_view text, std::uint32_t& value) {
  const auto point = text.find('.');
  std::uint32_t whole = 0, rest = 0;
  if (point == std::string_view::npos || text.size() != point + 3) return false;
  if (!Read(text.substr(0, point), whole) || !Read(text.substr(point + 1), rest)) return false;
  value = whole * 100 + rest;
  return true;
}

class Files {
 public:
  explicit Files(int directory) : directory_(directory) {}
  // None: it is not there, or it says "max".
  [[nodiscard]] Count Number(const std::string& name) const {
    std::string text = Text(name);
    while (text.ends_with('\n')) text.pop_back();
    std::uint64_t value = 0;
    return Read(std::string_view(text), value) ? Count(value) : std::nullopt;
  }
  [[nodiscard]] std::string Text(const std::string& name) const {
    auto text = sys::ReadBriefIfThere(directory_, name);
    return text && *text ? **std::move(text) : std::string();
  }

 private:
  int directory_;
};

}  // namespace

Result<Usage> ReadUsage(const std::string& directory) {
  auto opened = sys::Open(directory, O_PATH | O_DIRECTORY);
  if (!opened && opened.error().sys_errno == ENOENT) return Fail(ErrorCode::kNotFound, "read", directory, "is gone");
  const sys::Fd group = TRY(std::move(opened));
  const Files files(group.get());
  Usage usage;
  const std::string cpu = files.Text("cpu.stat");
  usage.cpu = FindKey(cpu, "usage_usec");
  usage.cpu_user = FindKey(cpu, "user_usec");
  usage.cpu_system = FindKey(cpu, "system_usec");
  usage.cpu_throttled = FindKey(cpu, "throttled_usec");
  usage.memory = files.Number("memory.current");
  if (usage.memory) {
    usage.memory_peak = files.Number("memory.peak");
    usage.memory_limit = files.Number("memory.max");
    usage.swap = files.Number("memory.swap.current");
    usage.swap_limit = files.Number("memory.swap.max");
    const std::string memory = files.Text("memory.stat");
    usage.memory_anonymous = FindKey(memory, "anon");
    usage.memory_files = FindKey(memory, "file");
  }
  usage.pids = files.Number("pids.current");
  usage.pids_limit = files.Number("pids.max");
  const auto io = sys::ReadBriefIfThere(group.get(), "io.stat");
  if (io && *io) ParseIo(**io, usage);
  usage.cpu_pressure = ParsePressure(files.Text("cpu.pressure"));
  usage.memory_pressure = ParsePressure(files.Text("memory.pressure"));
  usage.io_pressure = ParsePressure(files.Text("io.pressure"));
  return usage;
}

// "some avg10=0.00 avg60=0.00 avg300=0.00 total=0", and "full ..." the same.
std::optional<Pressure> ParsePressure(std::string_view text) {
  Pressure pressure;
  bool some = false;
  while (!text.empty()) {
    auto line = TakeLine(text);
    const auto kind = TakeWord(line);
    if (kind != "some" && kind != "full") continue;
    auto& avg10 = kind == "some" ? pressure.some_avg10 : pressure.full_avg10;
    auto& total = kind == "some" ? pressure.some_total : pressure.full_total;
    while (!line.empty()) {
      const auto word = TakeWord(line);
      if (word.starts_with("avg10=")) (void)ReadHundredths(word.substr(6), avg10);
      if (word.starts_with("total=")) (void)Read(word.substr(6), total);
    }
    some |= kind == "some";
  }
  return some ? std::optional(pressure) : std::nullopt;
}

// "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0", a line a device.
void ParseIo(std::string_view text, Usage& usage) {
  std::uint64_t sums[4] = {};
  constexpr std::array<std::string_view, 4> kNames = {"rbytes=", "wbytes=", "rios=", "wios="};
  while (!text.empty()) {
    auto line = TakeLine(text);
    while (!line.empty()) {
      const auto word = TakeWord(line);
      for (std::size_t i = 0; i < kNames.size(); ++i) {
        std::uint64_t value = 0;
        if (word.starts_with(kNames[i]) && Read(word.substr(kNames[i].size()), value)) sums[i] += value;
      }
    }
  }
  usage.read_bytes = sums[0];
  usage.written_bytes = sums[1];
  usage.reads = sums[2];
  usage.writes = sums[3];
}

// Two lines of headings; then "  eth0: bytes packets errs drop fifo frame compressed multicast", and the same of what
// was sent.
Links ParseLinks(std::string_view text) {
  Links links;
  while (!text.empty()) {
    auto line = TakeLine(text);
    // A name may have any character but '/', blanks and ':'; an alias of old has one.
    const auto colon = line.rfind(':');
    if (colon == std::string_view::npos) continue;
    auto name = line.substr(0, colon);
    name.remove_prefix(std::min(name.find_first_not_of(' '), name.size()));
    line.remove_prefix(colon + 1);
    std::array<std::uint64_t, 12> fields{};
    bool whole = true;
    for (auto& field : fields) whole = whole && Read(TakeWord(line), field);
    if (!whole || name == "lo") continue;
    links[std::string(name)] = {.received = fields[0],
                                .received_packets = fields[1],
                                .sent = fields[8],
                                .sent_packets = fields[9],
                                .received_dropped = fields[3],
                                .sent_dropped = fields[11]};
  }
  return links;
}

Result<std::optional<Links>> ReadLinks(pid_t pid) {
  auto text = sys::ReadFileIfThere(sys::ProcOf(pid) + "/net/dev");
  if (!text && (text.error().sys_errno == ESRCH || text.error().sys_errno == EINVAL)) return std::nullopt;
  if (!text) return Fail(std::move(text).error());
  return *text ? std::optional(ParseLinks(**text)) : std::nullopt;
}

}  // namespace nucleus::cgroup
