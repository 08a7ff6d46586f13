#include "spec/core/units.hpp"

#include <array>
#include <charconv>
#include <csignal>
#include <cstring>
#include <limits>

namespace nucleus {

namespace {

// a * b + c, or false where that does not fit.
bool MulAdd(std::uint64_t a, std::uint64_t b, std::uint64_t c, std::uint64_t& out) {
  std::uint64_t product = 0;
  return !__builtin_mul_overflow(a, b, &product) && !__builtin_add_overflow(product, c, &out);
}

bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

// A decimal number without sign: whole part and up to nine decimals, the latter in units of 1/scale.
struct Decimal {
  std::uint64_t whole = 0;
  std::uint64_t fraction = 0;
  std::uint64_t scale = 1;
  int decimals = 0;
};

// Takes a decimal number off the front of text. False: there is none, it has too many digits, or it ends in a dot.
bool TakeDecimal(std::string_view& text, Decimal& out) {
  std::size_t i = 0;
  for (; i < text.size() && IsDigit(text[i]); ++i) {
    if (!MulAdd(out.whole, 10, static_cast<std::uint64_t>(text[i] - '0'), out.whole)) return false;
  }
  if (i == 0) return false;
  if (i < text.size() && text[i] == '.') {
    for (++i; i < text.size() && IsDigit(text[i]); ++i) {
      if (++out.decimals > 9) return false;
      out.fraction = out.fraction * 10 + static_cast<std::uint64_t>(text[i] - '0');
      out.scale *= 10;
    }
    if (out.decimals == 0) return false;
  }
  text.remove_prefix(i);
  return true;
}

// value * unit, rounded down; false where it does not fit.
bool Scale(const Decimal& value, std::uint64_t unit, std::uint64_t& out) {
  __extension__ using Wide = unsigned __int128;
  const Wide part = static_cast<Wide>(value.fraction) * unit / value.scale;
  return MulAdd(value.whole, unit, static_cast<std::uint64_t>(part), out);
}

char Upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

struct TimeUnit {
  std::string_view name;
  std::uint64_t milliseconds;
};
// Longest first, and "ms" before "m" is found by comparing the whole unit.
constexpr std::array<TimeUnit, 5> kTimeUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

}  // namespace

Result<std::uint64_t> ParseUnsigned(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code == std::errc::result_out_of_range) return Fail(Error::Invalid(text, "the number is too large"));
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) {
    return Fail(Error::Invalid(text, "not a whole number"));
  }
  return value;
}

Result<Bytes> ParseBytes(std::string_view text) {
  constexpr std::string_view kExpected = "not a size; write for example 512M, 1.5G or 4096";
  std::string_view rest = text;
  Decimal number;
  if (!TakeDecimal(rest, number)) return Fail(Error::Invalid(text, kExpected));
  std::uint64_t unit = 1;
  if (!rest.empty()) {
    constexpr std::string_view kUnits = "KMGT";
    const auto power = kUnits.find(Upper(rest.front()));
    if (power != std::string_view::npos) {
      unit = std::uint64_t{1} << (10 * (power + 1));
      rest.remove_prefix(1);
      if (!rest.empty() && (rest.front() == 'i' || rest.front() == 'I')) rest.remove_prefix(1);
    }
    if (!rest.empty() && Upper(rest.front()) == 'B') rest.remove_prefix(1);
    if (!rest.empty()) return Fail(Error::Invalid(text, kExpected));
  }
  if (unit == 1 && number.decimals > 0)
    return Fail(Error::Invalid(text, "a fraction of a byte; add a unit, as in 1.5G"));
  std::uint64_t value = 0;
  if (!Scale(number, unit, value)) return Fail(Error::Invalid(text, "the size is too large"));
  return value;
}

std::string FormatBytes(Bytes value) {
  constexpr std::string_view kUnits = "TGMK";
  if (value == 0) return "0";
  for (std::size_t i = 0; i < kUnits.size(); ++i) {
    const Bytes unit = Bytes{1} << (10 * (kUnits.size() - i));
    if (value % unit == 0) return std::to_string(value / unit) + kUnits[i];
  }
  return std::to_string(value);
}

Result<Duration> ParseDuration(std::string_view text) {
  constexpr std::string_view kExpected = "not a duration; write for example 30s, 5m, 1h30m or 250ms";
  std::uint64_t total = 0;
  std::string_view rest = text;
  std::size_t next_unit = 0;  // units come in descending order, each at most once
  bool bare = false;
  if (rest.empty()) return Fail(Error::Invalid(text, kExpected));
  while (!rest.empty()) {
    Decimal number;
    if (bare || !TakeDecimal(rest, number)) return Fail(Error::Invalid(text, kExpected));
    std::size_t length = 0;
    while (length < rest.size() && rest[length] >= 'a' && rest[length] <= 'z') ++length;
    std::string_view name = rest.substr(0, length);
    rest.remove_prefix(length);
    if (name.empty() && next_unit == 0) {
      name = "s";
      bare = true;
    }
    std::size_t unit = next_unit;
    while (unit < kTimeUnits.size() && kTimeUnits[unit].name != name) ++unit;
    if (unit == kTimeUnits.size()) return Fail(Error::Invalid(text, kExpected));
    next_unit = unit + 1;
    std::uint64_t part = 0;
    if (!Scale(number, kTimeUnits[unit].milliseconds, part) || __builtin_add_overflow(total, part, &total) ||
        total > static_cast<std::uint64_t>(Duration::max().count())) {
      return Fail(Error::Invalid(text, "the duration is too long"));
    }
  }
  return Duration(static_cast<Duration::rep>(total));
}

std::string FormatDuration(Duration value) {
  std::string text;
  auto left = static_cast<std::uint64_t>(value.count() < 0 ? 0 : value.count());
  for (const auto& unit : kTimeUnits) {
    if (left < unit.milliseconds) continue;
    text += std::to_string(left / unit.milliseconds);
    text += unit.name;
    left %= unit.milliseconds;
  }
  return text.empty() ? "0s" : text;
}

Result<std::uint32_t> ParseMilliCpus(std::string_view text) {
  std::string_view rest = text;
  Decimal number;
  if (!TakeDecimal(rest, number) || !rest.empty()) {
    return Fail(Error::Invalid(text, "not a number of CPUs; write for example 2 or 0.5"));
  }
  if (number.decimals > 3) return Fail(Error::Invalid(text, "CPUs have at most three decimals"));
  std::uint64_t milli = 0;
  if (!Scale(number, 1000, milli) || milli > 8'192'000) return Fail(Error::Invalid(text, "more than 8192 CPUs"));
  if (milli == 0) return Fail(Error::Invalid(text, "the number of CPUs must be greater than 0"));
  return static_cast<std::uint32_t>(milli);
}

std::string FormatMilliCpus(std::uint32_t milli_cpus) {
  std::string text = std::to_string(milli_cpus / 1000);
  if (const auto fraction = milli_cpus % 1000; fraction != 0) {
    std::string digits = std::to_string(1000 + fraction).substr(1);
    while (digits.back() == '0') digits.pop_back();
    text += "." + digits;
  }
  return text;
}

Result<int> ParseSignal(std::string_view text) {
  struct Alias {
    std::string_view name;
    int signal;
  };
  constexpr std::array<Alias, 4> kAliases{{{"IO", SIGIO}, {"IOT", SIGABRT}, {"CLD", SIGCHLD}, {"UNUSED", SIGSYS}}};
  const auto unknown = [&] { return Fail(Error::Invalid(text, "not a signal; write for example SIGTERM, HUP or 15")); };
  if (text.empty()) return unknown();
  if (IsDigit(text.front())) {
    const auto number = ParseUnsigned(text);
    // 32 and 33 belong to the C library, nptl(7).
    if (!number || *number == 0 || *number > 64 || *number == 32 || *number == 33) return unknown();
    return static_cast<int>(*number);
  }
  std::string name;
  for (const char c : text) name += Upper(c);
  if (name.starts_with("SIG")) name.erase(0, 3);
  for (int signal = 1; signal < 32; ++signal) {
    if (const char* known = sigabbrev_np(signal); known != nullptr && name == known) return signal;
  }
  for (const auto& alias : kAliases) {
    if (name == alias.name) return alias.signal;
  }
  const bool from_min = name.starts_with("RTMIN");
  if (!from_min && !name.starts_with("RTMAX")) return unknown();
  const std::string_view offset_text = std::string_view(name).substr(5);
  std::uint64_t offset = 0;
  if (!offset_text.empty()) {
    const auto parsed = ParseUnsigned(offset_text.substr(1));
    if (offset_text.front() != (from_min ? '+' : '-') || !parsed || *parsed > 30) return unknown();
    offset = *parsed;
  }
  const int signal = from_min ? SIGRTMIN + static_cast<int>(offset) : SIGRTMAX - static_cast<int>(offset);
  if (signal < SIGRTMIN || signal > SIGRTMAX) return unknown();
  return signal;
}

std::string SignalName(int signal) {
  if (const char* known = signal > 0 && signal < 32 ? sigabbrev_np(signal) : nullptr) return std::string("SIG") + known;
  if (signal == SIGRTMIN) return "SIGRTMIN";
  if (signal > SIGRTMIN && signal <= SIGRTMAX) return "SIGRTMIN+" + std::to_string(signal - SIGRTMIN);
  return std::to_string(signal);
}

}  // namespace nucleus
