// The log of a workload: what it writes to its standard output and error, one entry a line:
//
//     <unix milliseconds> <o|e> <text>
//
// o is standard output, e standard error. Lines longer than 16 KiB are cut into several entries; a last line without
// an end is entered when the workload has ended. Control characters are kept: the reader decides what to show.
// The file "log" grows to Policy::log_max_bytes, is then renamed to "log.1" (the one before goes), and begins anew.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

// What became of a service, in the same form, as the supervisor wrote it down: a word, then "name=value" each behind a
// blank, of which "message", always the last one, goes to the end of the line.
//
//     start pid=12 · stop timeout_ms=10000 · exit code=137 reason=oom · restart number=1 delay_ms=100
//     fail code=127 message=... · oom · ready · health state=healthy · pause · unpause
//     egress-denied packets=3 total=5, what egress rules have denied since it was looked at last, and in all
inline constexpr std::string_view kEventsFile = "events";
inline constexpr std::uint64_t kEventsMaxBytes = 256 << 10;

enum class Stream : char { kOut = 'o', kError = 'e' };

// Lines to a socket of which the other end may not be read from: who keeps us waiting once has nothing for some
// seconds.
class Mirror {
 public:
  Mirror() = default;
  explicit Mirror(int fd) : fd_(fd) {}
  void Line(std::string_view line, std::int64_t now_ms);

 private:
  int fd_ = -1;
  std::int64_t deaf_until_ = 0;
  bool is_cut_ = false;  // the last line that was sent has no end yet
};

class LogWriter {
 public:
  // directory: the service's. Appends to what is there. file: its name in the place of "log".
  static Result<LogWriter> Open(std::string directory, std::uint64_t max_bytes, std::string_view file = kLogFile);

  // Whole lines of standard output and error go to these two descriptors as well: those of a unit lead to the journal.
  // A reader that does not keep up misses lines.
  void MirrorTo(int out, int error) { mirrors_ = {Mirror(out), Mirror(error)}; }
  void SetLimit(std::uint64_t max_bytes) { max_bytes_ = max_bytes; }
  void Add(Stream stream, std::string_view data, std::int64_t now_ms);
  // A line of the supervisor's own, in the midst of what the workload may not have finished.
  void AddLine(Stream stream, std::string_view line, std::int64_t now_ms);
  void Flush(std::int64_t now_ms);  // enters unfinished lines

 private:
  LogWriter() = default;
  void Entry(std::string& out, Stream stream, std::string_view line, std::int64_t now_ms);
  void Write(std::string_view entries);
  bool Rotate();

  std::string path_;
  std::uint64_t max_bytes_ = 0;
  std::uint64_t size_ = 0;
  sys::Fd file_;
  std::string partial_out_, partial_error_;
  std::array<Mirror, 2> mirrors_;
};

// What a workload wrote as it may be shown to a person: control characters, which could reach for the terminal, as
// "\n" and "\x1b".
std::string Escaped(std::string_view text);

// A terminal ends a line with it; termios(3), ONLCR.
inline std::string_view WithoutReturn(std::string_view line) {
  return line.substr(0, line.size() - (line.ends_with('\r') ? 1 : 0));
}

struct LogEntry {
  std::int64_t time_ms = 0;
  Stream stream = Stream::kOut;
  std::string text;
};

// False: the line is no entry.
bool ParseEntry(std::string_view line, LogEntry& entry);

// The last entries, oldest first, from "log" and, where it has too few, "log.1". Lines that are not entries are passed
// over. No file: none.
Result<std::vector<LogEntry>> LastEntries(const std::string& directory, std::size_t count);

}  // namespace nucleus::process
