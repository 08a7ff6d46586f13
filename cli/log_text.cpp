#include "cli/log_text.hpp"

#include "actuators/process/log.hpp"
#include "cli/table.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

// The length of a colour sequence (ECMA-48 SGR) that the text begins with, or 0.
std::size_t ColourLength(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const std::size_t end = text.find_first_not_of("0123456789;", 2);
  return end != std::string_view::npos && text[end] == 'm' ? end + 1 : 0;
}

std::string Cleaned(std::string_view text) {
  std::string out;
  bool coloured = false;
  while (!text.empty()) {
    std::size_t size = ColourLength(text);
    coloured |= size != 0;
    if (size == 0 && text.front() == '\t') size = 1;
    if (size != 0) {
      out += text.substr(0, size);
    } else {
      size = std::max<std::size_t>(Utf8Length(text), 1);
      out += Printable(text.substr(0, size));
    }
    text.remove_prefix(size);
  }
  if (coloured) out += "\x1b[0m";  // no colour outlives its line
  return out;
}

}  // namespace

std::string LogText::Add(std::string_view data) {
  std::string out;
  while (!data.empty()) {
    const std::size_t end = data.find('\n');
    if (end == std::string_view::npos) {
      partial_ += data;
      break;
    }
    if (partial_.empty()) {
      Entry(data.substr(0, end), out);
    } else {
      partial_ += data.substr(0, end);
      Entry(partial_, out);
      partial_.clear();
    }
    data.remove_prefix(end + 1);
  }
  return out;
}

std::string LogText::Flush() {
  std::string out;
  if (!partial_.empty()) Entry(partial_, out);
  partial_.clear();
  return out;
}

void LogText::Entry(std::string_view line, std::string& out) const {
  process::LogEntry entry;
  if (!process::ParseEntry(line, entry) || entry.time_ms < style_.since_ms) return;
  if (style_.timestamps) out += UtcTime(entry.time_ms) + " ";
  if (style_.clean) {
    out += Cleaned(process::WithoutReturn(entry.text));
  } else {
    out += entry.text;
  }
  out += '\n';
}

}  // namespace nucleus::cli
