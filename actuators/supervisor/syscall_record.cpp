#include "actuators/supervisor/syscall_record.hpp"

#include <sys/syscall.h>

#include <algorithm>
#include <utility>

#include "actuators/sys/syscall_names.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kMostValues = 1024;  // what seccomp generate keeps of an argument
constexpr std::size_t kMostOthers = 4096;

// The argument that tells what a call is about, as seccomp generate --args looks at it.
struct Telling {
  long number;
  std::uint32_t index;
};
constexpr Telling kTelling[] = {{SYS_clone, 0}, {SYS_ioctl, 1}, {SYS_prctl, 0}, {SYS_socket, 0}};

struct Line {
  std::uint32_t number = 0;
  std::uint64_t count = 0;
  const std::set<std::uint32_t>* values = nullptr;
  std::uint32_t index = 0;
  std::set<std::string_view> abis;
  bool missing = false;
};

template <class Items, class Text>
std::string Joined(const Items& items, Text text) {
  std::string out;
  for (const auto& item : items) out += (out.empty() ? "" : ",") + text(item);
  return out;
}

std::string TextOf(const std::string& name, const Line& line) {
  std::string text = "{\"syscall\":" + std::to_string(line.number) + ",\"name\":\"" + name +
                     "\",\"count\":" + std::to_string(line.count);
  // The arguments of another ABI may be others.
  if (line.values != nullptr && line.abis.empty() && line.values->size() <= kMostValues) {
    const std::string values = Joined(*line.values, [](std::uint32_t value) { return std::to_string(value); });
    text += ",\"args\":{\"" + std::to_string(line.index) + "\":[" + values + "]}";
  }
  if (!line.abis.empty())
    text += ",\"abis\":[" + Joined(line.abis, [](std::string_view abi) { return '"' + std::string(abi) + '"'; }) + "]";
  return text + (line.missing ? ",\"missing\":true}\n" : "}\n");
}

std::string Told(const Denial& denial) {
  return "seccomp denied '" + denial.call + "' to " + denial.program + ": " + denial.outcome;
}

}  // namespace

void CallTrace::Count(const seccomp_data& call) {
  ++total_;
  const auto number = static_cast<std::uint32_t>(call.nr);
  if (call.arch != sys::kNativeArchitecture || number >= native_.size()) {
    const Key key{call.arch, number};
    if (others_.size() < kMostOthers || others_.contains(key)) ++others_[key];
    return;
  }
  ++native_[number];
  const auto* const telling = std::ranges::find(kTelling, call.nr, &Telling::number);
  if (telling == std::end(kTelling)) return;
  auto& values = arguments_[number];
  if (values.size() <= kMostValues) values.insert(static_cast<std::uint32_t>(call.args[telling->index]));
}

void CallTrace::CountMissing(const seccomp_data& call) {
  Count(call);
  missing_.insert(sys::SyscallText(call.arch, static_cast<std::uint32_t>(call.nr)));
}

std::string CallTrace::Text() const {
  std::map<std::string, Line> lines;
  for (std::uint32_t number = 0; number < native_.size(); ++number) {
    if (native_[number] == 0) continue;
    Line& line = lines[sys::SyscallText(sys::kNativeArchitecture, number)];
    line.number = number;
    line.count = native_[number];
    const auto values = arguments_.find(number);
    if (values == arguments_.end()) continue;
    line.values = &values->second;
    line.index = std::ranges::find(kTelling, static_cast<long>(number), &Telling::number)->index;
  }
  for (const auto& [key, count] : others_) {
    const auto [line, is_new] = lines.try_emplace(sys::SyscallText(key.architecture, key.number));
    if (is_new) line->second.number = key.number & 0xffffU;
    line->second.count += count;
    if (const auto abi = sys::ForeignAbi(key.architecture, key.number); !abi.empty()) line->second.abis.insert(abi);
  }
  for (const auto& name : missing_)
    if (const auto line = lines.find(name); line != lines.end()) line->second.missing = true;
  std::string text;
  for (const auto& [name, line] : lines) text += TextOf(name, line);
  return text;
}

void DenialRecord::Count(const Denial& denial) {
  const auto known = counts_.find(denial);
  if (known != counts_.end()) {
    ++known->second;
  } else if (counts_.size() < kMost) {
    counts_.emplace(denial, 1);
    news_.push_back(Told(denial));
  } else {
    ++beyond_;
  }
}

std::vector<std::string> DenialRecord::Lines() const {
  std::vector<std::string> lines;
  for (const auto& [denial, count] : counts_) lines.push_back(Told(denial) + ", " + std::to_string(count) + " times");
  for (auto& line : lines)
    if (line.ends_with(", 1 times")) line.replace(line.size() - 7, 7, "once");
  if (beyond_ != 0) lines.push_back("seccomp denied others: " + std::to_string(beyond_) + " times");
  return lines;
}

std::vector<std::string> DenialRecord::TakeNews() {
  return std::exchange(news_, {});
}

}  // namespace nucleus::process
