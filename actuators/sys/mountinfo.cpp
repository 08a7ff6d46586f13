#include "actuators/sys/mountinfo.hpp"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

// Fields stand between single blanks; a field itself never holds one (escaped as \040).
class Fields {
 public:
  explicit Fields(std::string_view line) : rest_(line) {}

  std::optional<std::string_view> Next() {
    if (over_) return std::nullopt;
    const auto blank = rest_.find(' ');
    const auto field = rest_.substr(0, blank);
    if (blank == std::string_view::npos) {
      over_ = true;
    } else {
      rest_.remove_prefix(blank + 1);
    }
    return field;
  }

 private:
  std::string_view rest_;
  bool over_ = false;
};

template <class Number>
bool ParseNumber(std::optional<std::string_view> text, Number& number) {
  if (!text || text->empty()) return false;
  const auto [end, err] = std::from_chars(text->data(), text->data() + text->size(), number);
  return err == std::errc() && end == text->data() + text->size();
}

bool ParseDevice(std::optional<std::string_view> text, MountEntry& entry) {
  if (!text) return false;
  const auto colon = text->find(':');
  if (colon == std::string_view::npos) return false;
  return ParseNumber(std::optional(text->substr(0, colon)), entry.device_major) &&
         ParseNumber(std::optional(text->substr(colon + 1)), entry.device_minor);
}

bool IsOctal(char c) {
  return c >= '0' && c <= '7';
}

// mangle() of fs/proc_namespace.c escapes blank, tab, newline, backslash and # as a backslash and three octal digits.
bool Unescape(std::optional<std::string_view> text, std::string& out) {
  if (!text) return false;
  out.reserve(text->size());
  for (std::size_t i = 0; i < text->size(); ++i) {
    const char c = (*text)[i];
    if (c == '\\' && i + 3 < text->size() && (*text)[i + 1] <= '3' && IsOctal((*text)[i + 1]) &&
        IsOctal((*text)[i + 2]) && IsOctal((*text)[i + 3])) {
      out += static_cast<char>(((*text)[i + 1] - '0') * 64 + ((*text)[i + 2] - '0') * 8 + ((*text)[i + 3] - '0'));
      i += 3;
    } else {
      out += c;
    }
  }
  return true;
}

std::optional<MountEntry> ParseLine(std::string_view line) {
  MountEntry entry;
  Fields fields(line);
  if (!ParseNumber(fields.Next(), entry.id) || !ParseNumber(fields.Next(), entry.parent) ||
      !ParseDevice(fields.Next(), entry) || !Unescape(fields.Next(), entry.root) ||
      !Unescape(fields.Next(), entry.mount_point) || !Unescape(fields.Next(), entry.options)) {
    return std::nullopt;
  }
  while (true) {  // zero or more optional fields, ended by a single hyphen
    const auto field = fields.Next();
    if (!field) return std::nullopt;
    if (*field == "-") break;
    if (!entry.propagation.empty()) entry.propagation += ' ';
    entry.propagation += *field;
  }
  if (!Unescape(fields.Next(), entry.fstype) || !Unescape(fields.Next(), entry.source)) return std::nullopt;
  // A file system may print super options with blanks of its own: all that is left belongs to them.
  if (!Unescape(fields.Next(), entry.super_options)) return std::nullopt;
  while (const auto more = fields.Next()) {
    entry.super_options += ' ';
    Unescape(more, entry.super_options);
  }
  return entry;
}

// Of the first line of a text, and that line taken away; its number is for the error.
Result<MountEntry> TakeEntry(std::string_view& text, std::size_t number) {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  auto entry = ParseLine(line);
  if (entry) return std::move(*entry);
  return Fail(ErrorCode::kInvalid, "parse", "mountinfo line " + std::to_string(number), "not as proc(5) says");
}

}  // namespace

bool MountEntry::HasOption(std::string_view option) const {
  std::string_view rest = options;
  while (!rest.empty()) {
    const auto one = rest.substr(0, rest.find(','));
    if (one.substr(0, one.find('=')) == option) return true;
    rest.remove_prefix(std::min(one.size() + 1, rest.size()));
  }
  return false;
}

Result<std::vector<MountEntry>> ParseMountinfo(std::string_view text) {
  std::vector<MountEntry> entries;
  while (!text.empty()) entries.push_back(TRY(TakeEntry(text, entries.size() + 1)));
  return entries;
}

Result<std::vector<MountEntry>> ReadMountinfo(const std::string& path) {
  const std::string text = TRY(ReadFile(path, 64 << 20));
  return TRY_IN(path, ParseMountinfo(text));
}

Result<> ForEachMount(const std::function<bool(MountEntry&&)>& more, const std::string& path) {
  const Fd fd = TRY(Open(path, O_RDONLY));
  std::array<char, 4096> page;  // NOLINT(*-member-init): filled by the kernel
  std::string held;             // lines that nobody has been called for yet, the last one perhaps in part
  std::size_t number = 0;
  while (true) {
    const ssize_t got = ::read(fd.get(), page.data(), page.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FailSys("read", path);
    held.append(page.data(), static_cast<std::size_t>(got));
    const bool over = got == 0;
    std::string_view rest = held;
    while (over ? !rest.empty() : rest.find('\n') != std::string_view::npos) {
      if (!more(TRY_IN(path, TakeEntry(rest, ++number)))) return {};
    }
    if (over) return {};
    held.erase(0, held.size() - rest.size());
  }
}

}  // namespace nucleus::sys
