// The status file: one "key value" a line, so that a person can read it. One table serves both directions.
#include <array>
#include <charconv>
#include <limits>
#include <type_traits>

#include "state/parts/launch.hpp"

namespace nucleus {

namespace {

constexpr std::array<std::string_view, 6> kStateNames = {"starting", "running", "backoff",
                                                         "stopping", "exited",  "failed"};
constexpr std::array<std::string_view, 3> kReadinessNames = {"none", "waiting", "ready"};
constexpr std::array<std::string_view, 4> kHealthNames = {"none", "starting", "healthy", "unhealthy"};
constexpr std::array<std::string_view, 5> kEndingNames = {"none", "exit", "oom", "stopped", "unhealthy"};
constexpr std::string_view kFirstLine = "nucleus-status 1";

// Text on one line: backslash, control characters and bytes that end a line are written as \xNN.
void PutText(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f && c != '\\') {
      out += c;
      continue;
    }
    out += "\\x";
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

bool GetText(std::string_view line, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] != '\\') {
      out += line[i];
      continue;
    }
    if (line.size() - i < 4 || line[i + 1] != 'x') return false;
    const int high = HexDigit(line[i + 2]), low = HexDigit(line[i + 3]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
    i += 3;
  }
  return true;
}

void Put(std::string& out, const std::string& value) {
  PutText(out, value);
}
bool Get(std::string_view line, std::string& value) {
  return GetText(line, value);
}

template <class T>
  requires std::is_integral_v<T>
void Put(std::string& out, const T& value) {
  out += std::to_string(value);
}
template <class T>
  requires std::is_integral_v<T>
bool Get(std::string_view line, T& value) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  return error == std::errc() && end == line.data() + line.size();
}
void Put(std::string& out, const bool& value) {
  out += value ? '1' : '0';
}
bool Get(std::string_view line, bool& value) {
  value = line == "1";
  return line == "1" || line == "0";
}

void Put(std::string& out, const Digest& value) {
  out += value.Hex();
}
bool Get(std::string_view line, Digest& value) {
  auto digest = Digest::Parse(line);
  if (digest) value = *digest;
  return digest.has_value();
}

template <class E, std::size_t N>
bool GetName(const std::array<std::string_view, N>& names, std::string_view line, E& value) {
  for (std::size_t i = 0; i < N; ++i) {
    if (names[i] != line) continue;
    value = static_cast<E>(i);
    return true;
  }
  return false;
}
void Put(std::string& out, const Status::State& value) {
  out += StateName(value);
}
bool Get(std::string_view line, Status::State& value) {
  return GetName(kStateNames, line, value);
}
void Put(std::string& out, const Status::Readiness& value) {
  out += ReadinessName(value);
}
bool Get(std::string_view line, Status::Readiness& value) {
  return GetName(kReadinessNames, line, value);
}
void Put(std::string& out, const Status::Health& value) {
  out += HealthName(value);
}
bool Get(std::string_view line, Status::Health& value) {
  return GetName(kHealthNames, line, value);
}
void Put(std::string& out, const Status::Ending& value) {
  out += EndingName(value);
}
bool Get(std::string_view line, Status::Ending& value) {
  return GetName(kEndingNames, line, value);
}

// Every field with its key, in the order of writing.
template <class S, class Visitor>
void Fields(S& status, Visitor&& visit) {
  visit("state", status.state);
  visit("readiness", status.readiness);
  visit("health", status.health);
  visit("id", status.id);
  visit("digest", status.digest);
  visit("policy", status.policy_digest);
  visit("supervisor.pid", status.supervisor.pid);
  visit("supervisor.start_time", status.supervisor.start_time);
  visit("supervisor.boot_id", status.supervisor.boot_id);
  visit("supervisor.cgroup_id", status.supervisor.cgroup_id);
  visit("workload.pid", status.workload.pid);
  visit("workload.start_time", status.workload.start_time);
  visit("workload.boot_id", status.workload.boot_id);
  visit("workload.cgroup_id", status.workload.cgroup_id);
  visit("mounts", status.mounts);
  visit("loosened", status.loosened);
  visit("name_files", status.sources);
  visit("started_ms", status.started_ms);
  visit("finished_ms", status.finished_ms);
  visit("exit_code", status.exit_code);
  visit("oom_killed", status.oom_killed);
  visit("ending", status.ending);
  visit("restarts", status.restarts);
  visit("probe_failures", status.probe_failures);
  visit("probe_output", status.probe_output);
  visit("error", status.error);
  visit("words", status.words);
  visit("network", status.network);
}

}  // namespace

std::string_view StateName(Status::State state) {
  return kStateNames[static_cast<std::size_t>(state)];
}
std::string_view ReadinessName(Status::Readiness readiness) {
  return kReadinessNames[static_cast<std::size_t>(readiness)];
}
std::string_view HealthName(Status::Health health) {
  return kHealthNames[static_cast<std::size_t>(health)];
}
std::string_view EndingName(Status::Ending ending) {
  return kEndingNames[static_cast<std::size_t>(ending)];
}

std::string Encode(const Status& status) {
  std::string out(kFirstLine);
  out += '\n';
  Fields(status, [&out](std::string_view key, const auto& value) {
    out += key;
    out += ' ';
    Put(out, value);
    out += '\n';
  });
  out += "end\n";  // a file that was cut off is told from a whole one
  return out;
}

Result<Status> DecodeStatus(std::string_view text) {
  const auto corrupt = [](std::string_view why) { return Fail(ErrorCode::kCorrupt, "read", "status", why); };
  Status status;
  bool first = true;
  bool ended = false;
  while (!text.empty()) {
    const auto end = text.find('\n');
    if (end == std::string_view::npos) return corrupt("its last line is cut off");
    const auto line = text.substr(0, end);
    text.remove_prefix(end + 1);
    if (ended) return corrupt("there is more data after its end");
    if (first && line != kFirstLine) return corrupt("it does not begin as such a file does");
    if (std::exchange(first, false)) continue;
    ended = line == "end";
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const auto key = line.substr(0, blank), value = line.substr(blank + 1);
    std::string_view wrong;
    Fields(status, [&](std::string_view name, auto& field) {
      if (name == key && !Get(value, field)) wrong = name;
    });
    if (!wrong.empty()) return corrupt("the value of " + std::string(wrong) + " does not read back");
  }
  if (!ended) return corrupt("its end is missing");
  return status;
}

}  // namespace nucleus
