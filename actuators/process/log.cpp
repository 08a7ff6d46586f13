#include "actuators/process/log.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cstdio>

#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"
#include "spec/core/text.hpp"

namespace nucleus::process {

namespace {

constexpr std::size_t kMaxLine = 16 << 10;
constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW;
constexpr mode_t kMode = 0640;

std::string LogPath(const std::string& directory) {
  return directory + "/" + std::string(kLogFile);
}

// The end of a file: enough for the entries that are wanted, not the whole.
Result<std::string> ReadTail(const std::string& path, std::size_t size) {
  auto file = sys::Open(path, O_RDONLY);
  if (!file && file.error().sys_errno == ENOENT) return std::string();
  if (!file) return Fail(std::move(file).error());
  struct stat st{};
  if (::fstat(file->get(), &st) != 0) return FailSys("stat", path);
  const auto all = static_cast<std::size_t>(st.st_size);
  const auto start = static_cast<off_t>(all > size ? all - size : 0);
  if (::lseek(file->get(), start, SEEK_SET) < 0) return FailSys("seek", path);
  std::string text = TRY(sys::ReadAll(file->get(), path, size + kMaxLine * 64));
  if (start > 0) text.erase(0, std::min(text.find('\n') + 1, text.size()));
  return text;
}

void Collect(std::string_view text, std::size_t count, std::vector<LogEntry>& entries) {
  std::vector<LogEntry> found;
  while (!text.empty() && entries.size() + found.size() < count) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    const auto start = text.rfind('\n');
    const auto line = start == std::string_view::npos ? text : text.substr(start + 1);
    LogEntry entry;
    if (ParseEntry(line, entry)) found.push_back(std::move(entry));
    text = text.substr(0, start == std::string_view::npos ? 0 : start + 1);
  }
  std::ranges::reverse(found);
  entries.insert(entries.begin(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
}

}  // namespace

void Mirror::Line(std::string_view line, std::int64_t now_ms) {
  constexpr int kTakenWithinMs = 100;
  constexpr std::int64_t kRestMs = 5'000;
  if (fd_ < 0 || (now_ms < deaf_until_ && deaf_until_ - now_ms <= kRestMs)) return;  // the clock may have been set back
  std::string text(is_cut_ ? "\n" : "");
  (text += line) += '\n';
  std::string_view rest = text;
  while (!rest.empty()) {
    pollfd entry{.fd = fd_, .events = POLLOUT, .revents = 0};
    const ssize_t sent = ::poll(&entry, 1, kTakenWithinMs) == 1
                             ? ::send(fd_, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                             : -1;
    if (sent <= 0) {
      deaf_until_ = now_ms + kRestMs;
      return;
    }
    rest.remove_prefix(static_cast<std::size_t>(sent));
    is_cut_ = !rest.empty();
  }
}

bool ParseEntry(std::string_view line, LogEntry& entry) {
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), entry.time_ms);
  if (error != std::errc()) return false;
  const auto rest = line.substr(static_cast<std::size_t>(end - line.data()));
  if (rest.size() < 3 || rest[0] != ' ' || rest[2] != ' ' || (rest[1] != 'o' && rest[1] != 'e')) return false;
  entry.stream = static_cast<Stream>(rest[1]);
  entry.text = rest.substr(3);
  return true;
}

std::string Escaped(std::string_view text) {
  std::string out;
  while (true) {
    const auto end = text.find('\n');
    out += Printable(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += "\\n";
    text.remove_prefix(end + 1);
  }
}

Result<LogWriter> LogWriter::Open(std::string directory, std::uint64_t max_bytes, std::string_view file) {
  LogWriter log;
  log.path_ = std::move(directory) + "/" + std::string(file);
  log.file_ = TRY(sys::Open(log.path_, kFlags, kMode));
  struct stat st{};
  if (::fstat(log.file_.get(), &st) != 0) return FailSys("stat", log.path_);
  log.size_ = static_cast<std::uint64_t>(st.st_size);
  log.max_bytes_ = max_bytes;
  return log;
}

void LogWriter::Entry(std::string& out, Stream stream, std::string_view line, std::int64_t now_ms) {
  out += std::to_string(now_ms);
  out += ' ';
  out += static_cast<char>(stream);
  out += ' ';
  out += line;
  out += '\n';
  mirrors_[stream == Stream::kOut ? 0 : 1].Line(line, now_ms);
}

bool LogWriter::Rotate() {
  // Somebody may have taken the file away: then there is nothing to keep, but a new one to begin.
  if (std::rename(path_.c_str(), (path_ + ".1").c_str()) != 0 && errno != ENOENT) return false;
  auto file = sys::Open(path_, kFlags, kMode);
  if (!file) return false;
  file_ = std::move(*file);
  size_ = 0;
  return true;
}

// A log that cannot be written (a full disk) must not stop the workload: what does not fit is lost. Nor may it grow
// without bound where it cannot be rotated.
void LogWriter::Write(std::string_view entries) {
  if (entries.empty()) return;
  if (size_ > 0 && max_bytes_ > 0 && size_ + entries.size() > max_bytes_ && !Rotate()) return;
  if (sys::WriteAll(file_.get(), entries, path_)) size_ += entries.size();
}

void LogWriter::Add(Stream stream, std::string_view data, std::int64_t now_ms) {
  std::string& partial = stream == Stream::kOut ? partial_out_ : partial_error_;
  std::string entries;
  while (!data.empty()) {
    const auto end = data.find('\n');
    const auto piece = data.substr(0, end);
    const auto room = kMaxLine - partial.size();
    if (piece.size() > room || end == std::string_view::npos) {
      const auto take = std::min(piece.size(), room);
      partial += piece.substr(0, take);
      data.remove_prefix(take);
      if (partial.size() < kMaxLine) break;
      Entry(entries, stream, partial, now_ms);
      partial.clear();
      continue;
    }
    if (partial.empty()) {
      Entry(entries, stream, piece, now_ms);
    } else {
      Entry(entries, stream, partial.append(piece), now_ms);
      partial.clear();
    }
    data.remove_prefix(end + 1);
  }
  Write(entries);
}

void LogWriter::AddLine(Stream stream, std::string_view line, std::int64_t now_ms) {
  std::string entry;
  Entry(entry, stream, line.substr(0, kMaxLine), now_ms);
  Write(entry);
}

void LogWriter::Flush(std::int64_t now_ms) {
  std::string entries;
  if (!partial_out_.empty()) Entry(entries, Stream::kOut, partial_out_, now_ms);
  if (!partial_error_.empty()) Entry(entries, Stream::kError, partial_error_, now_ms);
  partial_out_.clear();
  partial_error_.clear();
  Write(entries);
}

Result<std::vector<LogEntry>> LastEntries(const std::string& directory, std::size_t count) {
  constexpr std::size_t kEnough = 256 << 10;
  const std::string path = LogPath(directory);
  std::vector<LogEntry> entries;
  Collect(TRY(ReadTail(path, kEnough)), count, entries);
  if (entries.size() < count) Collect(TRY(ReadTail(path + ".1", kEnough)), count, entries);
  return entries;
}

}  // namespace nucleus::process
