#include "cli/since.hpp"

#include <time.h>

#include <optional>
#include <string>

#include "spec/core/units.hpp"

namespace nucleus::cli {

namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}
  bool Take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool Digits(std::size_t count, int& value) {
    if (rest_.size() < count) return false;
    int number = 0;
    for (const char c : rest_.substr(0, count)) {
      if (c < '0' || c > '9') return false;
      number = number * 10 + (c - '0');
    }
    value = number;
    rest_.remove_prefix(count);
    return true;
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] bool IsNext(char from, char to) const { return !rest_.empty() && rest_[0] >= from && rest_[0] <= to; }

 private:
  std::string_view rest_;
};

// Minutes east of Greenwich; none: local time. False: it is no zone.
bool ReadZone(Reader& reader, std::optional<int>& minutes) {
  if (reader.done()) return true;
  minutes = 0;
  if (reader.Take('Z')) return reader.done();
  const bool west = reader.Take('-');
  int hours = 0, rest = 0;
  if ((!west && !reader.Take('+')) || !reader.Digits(2, hours) || !reader.Take(':') || !reader.Digits(2, rest))
    return false;
  minutes = (west ? -1 : 1) * (hours * 60 + rest);
  return reader.done();
}

bool ReadClock(Reader& reader, tm& time, int& milliseconds) {
  if (!reader.Digits(2, time.tm_hour) || !reader.Take(':') || !reader.Digits(2, time.tm_min)) return false;
  if (reader.Take(':') && !reader.Digits(2, time.tm_sec)) return false;
  if (!reader.Take('.')) return true;
  int digit = 0;
  int scale = 100;
  if (!reader.IsNext('0', '9')) return false;
  for (; reader.Digits(1, digit); scale /= 10) milliseconds += scale * digit;
  return true;
}

std::optional<std::int64_t> ReadTime(std::string_view text) {
  Reader reader(text);
  tm time{};
  int milliseconds = 0;
  std::optional<int> east;
  if (!reader.Digits(4, time.tm_year) || !reader.Take('-') || !reader.Digits(2, time.tm_mon) || !reader.Take('-') ||
      !reader.Digits(2, time.tm_mday))
    return std::nullopt;
  if ((reader.Take('T') || reader.Take(' ')) && !ReadClock(reader, time, milliseconds)) return std::nullopt;
  if (!ReadZone(reader, east)) return std::nullopt;
  if (time.tm_mon < 1 || time.tm_mon > 12 || time.tm_mday < 1 || time.tm_mday > 31 || time.tm_hour > 23 ||
      time.tm_min > 59 || time.tm_sec > 60)
    return std::nullopt;
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  time.tm_isdst = -1;
  const std::int64_t seconds = east ? ::timegm(&time) - std::int64_t{*east} * 60 : ::mktime(&time);
  return seconds * 1000 + milliseconds;
}

}  // namespace

Result<std::int64_t> ParseSince(std::string_view text, std::int64_t now_ms) {
  if (const auto time = ReadTime(text)) return *time;
  if (const auto ago = ParseDuration(text)) return now_ms - ago->count();
  return Fail(Error::Invalid("'" + std::string(text) + "'",
                             "is neither a time such as 2026-11-24T04:15:03Z nor how long ago, 10m"));
}

}  // namespace nucleus::cli
