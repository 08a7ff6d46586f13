#include "attest/manifest.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <functional>
#include <numeric>
#include <optional>

#include "spec/core/text.hpp"

namespace nucleus::attest {

namespace {

constexpr std::string_view kVersionWord = "nucleus-rootfs-manifest ";
constexpr std::string_view kVersionLine = "nucleus-rootfs-manifest 2";
constexpr std::size_t kFields = 7;

// What parsing a line gives: nothing, or what is wrong with it.
using Wrong = std::optional<std::string>;

Wrong WhyNoPath(std::string_view path) {
  if (path.empty()) return "the path is empty";
  if (path.size() > kMostPathBytes) return "the path is longer than " + std::to_string(kMostPathBytes) + " bytes";
  if (path.starts_with('/')) return "the path is absolute";
  if (path.find('\0') != std::string_view::npos) return "the path holds NUL";
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t slash = rest.find('/');
    const std::string_view name = rest.substr(0, slash);
    if (name.empty() || name == "." || name == "..") {
      return "the path has \"" + std::string(name) + "\" as a component";
    }
    if (name.size() > NAME_MAX) return "the path has a component of more than 255 bytes";
    if (slash == rest.size() - 1) return "the path ends with a slash";
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  if (path == kManifestName) return "a manifest cannot hold itself";
  return std::nullopt;
}

// ---- escapes ----

std::string Escape(std::string_view text) {
  std::string out;
  while (true) {
    const std::size_t backslash = text.find('\\');
    out += Printable(text.substr(0, backslash));
    if (backslash == std::string_view::npos) return out;
    out += "\\\\";
    text.remove_prefix(backslash + 1);
  }
}

bool Unescape(std::string_view text, std::string& out) {
  out.clear();
  out.reserve(text.size());
  while (true) {
    const std::size_t backslash = text.find('\\');
    out += text.substr(0, backslash);
    if (backslash == std::string_view::npos) return true;
    text.remove_prefix(backslash + 1);
    if (text.starts_with('\\')) {
      out += '\\';
      text.remove_prefix(1);
      continue;
    }
    unsigned char byte = 0;
    if (text.size() < 3 || text[0] != 'x') return false;
    if (const auto [end, bad] = std::from_chars(&text[1], &text[1] + 2, byte, 16);
        bad != std::errc() || end != &text[1] + 2) {
      return false;
    }
    out += static_cast<char>(byte);
    text.remove_prefix(3);
  }
}

// ---- reading ----

template <class T>
bool Number(std::string_view text, T& value, int base = 10) {
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return bad == std::errc() && end == text.data() + text.size();
}

bool ReadDigest(std::string_view text, Digest& digest) {
  if (text.size() != 64) return false;  // without "sha256:"
  const auto parsed = Digest::Parse(text);
  if (parsed) digest = *parsed;
  return parsed.has_value();
}

constexpr std::string_view kNoDigest = "expected 64 hexadecimal digits, a tab and a path";

Wrong ReadPlain(std::string_view line, Entry& entry) {
  const std::size_t tab = line.find('\t');
  if (tab == std::string_view::npos || !ReadDigest(line.substr(0, tab), entry.digest)) return std::string(kNoDigest);
  entry.path = line.substr(tab + 1);
  return WhyNoPath(entry.path);
}

std::optional<Kind> KindOf(std::string_view field) {
  if (field == "f") return Kind::kRegular;
  if (field == "d") return Kind::kDirectory;
  if (field == "l") return Kind::kLink;
  if (field == "s") return Kind::kSpecial;
  return std::nullopt;
}

bool SaysSpecial(std::string_view value) {
  if (value == "p" || value == "s") return true;
  const auto colon = value.find(':');
  std::uint32_t number = 0;
  return (value.starts_with('c') || value.starts_with('b')) && colon != std::string_view::npos &&
         Number(value.substr(1, colon - 1), number) && Number(value.substr(colon + 1), number);
}

Wrong ReadExtended(std::string_view line, Entry& entry) {
  std::array<std::string_view, kFields> fields;
  std::size_t count = 0;
  for (std::string_view rest = line; count < kFields; ++count) {
    const std::size_t tab = rest.find('\t');
    fields[count] = rest.substr(0, tab);
    if (tab == std::string_view::npos) break;
    rest.remove_prefix(tab + 1);
  }
  if (count != kFields - 1) return "expected 7 fields with tabs between them";
  const auto& [type, mode, uid, gid, size, value, path] = fields;

  const auto kind = KindOf(type);
  if (!kind) return "unknown type '" + Printable(type) + "', expected f, d, l or s";
  entry.kind = *kind;
  if (entry.kind == Kind::kLink ? mode != "-" : mode.size() != 4 || !Number(mode, entry.mode, 8)) {
    return "mode '" + Printable(mode) + "' is not four octal digits, or - of a link";
  }
  if (!Number(uid, entry.uid)) return "'" + Printable(uid) + "' is not a user";
  if (!Number(gid, entry.gid)) return "'" + Printable(gid) + "' is not a group";
  const bool is_file = entry.kind == Kind::kRegular;
  if (is_file ? !Number(size, entry.size) : size != "-") {
    return "size '" + Printable(size) + "' is not a number, or - of what is no file";
  }
  if (is_file && !ReadDigest(value, entry.digest)) return "'" + Printable(value) + "' is not a SHA-256 digest";
  if (entry.kind == Kind::kSpecial) {
    if (!SaysSpecial(value)) return "'" + Printable(value) + "' is not p, s, cMAJOR:MINOR or bMAJOR:MINOR";
    entry.target = value;
  }
  if (entry.kind == Kind::kDirectory && value != "-") return "a directory has no value: expected -";
  if (entry.kind == Kind::kLink) {
    if (!Unescape(value, entry.target)) return "expected \\\\ or \\xNN behind a backslash in the target";
    if (entry.target.empty() || entry.target.size() > PATH_MAX || entry.target.find('\0') != std::string::npos) {
      return "the target is empty, too long or holds NUL";
    }
  }
  if (path == ".") return entry.kind == Kind::kDirectory ? Wrong() : "the root is no directory";
  if (!Unescape(path, entry.path)) return "expected \\\\ or \\xNN behind a backslash in the path";
  return WhyNoPath(entry.path);
}

std::unexpected<Error> WrongLine(std::string_view file, std::size_t line, std::string_view what) {
  return Fail(Error::Invalid(std::string(file) + ":" + std::to_string(line), what));
}

// Sorts by path, and refuses one that is there twice. header: lines before the first entry's.
Result<> Arrange(std::vector<Entry>& entries, std::size_t header, std::string_view file) {
  // As it was written: nothing to do.
  if (std::ranges::adjacent_find(entries, std::ranges::greater_equal(), &Entry::path) == entries.end()) return {};
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0);
  const auto path = [&](std::size_t i) -> const std::string& { return entries[i].path; };
  // Stable: of two of the same path the later line is behind, and named.
  std::ranges::stable_sort(order, {}, path);
  const auto twice = std::ranges::adjacent_find(order, {}, path);
  if (twice != order.end()) {
    return WrongLine(
        file, *std::next(twice) + header + 1,
        "'" + Printable(path(*twice)) + "' is there already, in line " + std::to_string(*twice + header + 1));
  }
  std::ranges::sort(entries, {}, &Entry::path);
  return {};
}

// ---- writing ----

void WriteExtended(const Entry& entry, std::string& out) {
  const auto octal = [](std::uint32_t mode) {
    std::string digits;
    for (const int shift : {9, 6, 3, 0}) digits += static_cast<char>('0' + (mode >> shift & 7U));
    return digits;
  };
  const bool is_file = entry.kind == Kind::kRegular;
  const bool is_link = entry.kind == Kind::kLink;
  const bool is_special = entry.kind == Kind::kSpecial;
  out += is_file ? "f\t" : is_link ? "l\t" : is_special ? "s\t" : "d\t";
  out += is_link ? "-" : octal(entry.mode);
  out += '\t' + std::to_string(entry.uid) + '\t' + std::to_string(entry.gid) + '\t';
  out += is_file ? std::to_string(entry.size) : "-";
  out += '\t' + (is_file ? entry.digest.Hex() : is_link || is_special ? Escape(entry.target) : "-") + '\t';
  out += entry.path.empty() ? "." : Escape(entry.path);
  out += '\n';
}

}  // namespace

Result<Manifest> ParseManifest(std::string_view text, std::string_view file) {
  if (text.size() > kMostManifestBytes) {
    return Fail(Error::Invalid(file, "larger than " + std::to_string(kMostManifestBytes) + " bytes"));
  }
  Manifest manifest;
  std::size_t line_number = 0;
  if (text.starts_with(kVersionWord)) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (line != kVersionLine) {
      return WrongLine(file, 1, "unknown version '" + Printable(line.substr(kVersionWord.size())) + "', expected 2");
    }
    manifest.format = Format::kExtended;
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line_number = 1;
  }
  const bool plain = manifest.format == Format::kPlain;
  while (!text.empty()) {
    ++line_number;
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    Entry entry;
    if (const Wrong wrong = plain ? ReadPlain(line, entry) : ReadExtended(line, entry)) {
      return WrongLine(file, line_number, *wrong);
    }
    manifest.entries.push_back(std::move(entry));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  TRY(Arrange(manifest.entries, line_number - manifest.entries.size(), file));
  return manifest;
}

Result<std::string> WriteManifest(const Manifest& manifest) {
  std::string text;
  if (manifest.format == Format::kExtended) text = std::string(kVersionLine) + '\n';
  for (const Entry& entry : manifest.entries) {
    if (manifest.format == Format::kExtended) {
      WriteExtended(entry, text);
    } else if (entry.path.find('\n') != std::string::npos) {
      return Fail(Error::Invalid(Printable(entry.path), "the plain format has no way to write a newline in a path"));
    } else {
      text += entry.digest.Hex() + '\t' + entry.path + '\n';
    }
    if (text.size() > kMostManifestBytes) {
      return Fail(Error::Invalid(kManifestName, "larger than " + std::to_string(kMostManifestBytes) + " bytes"));
    }
  }
  return text;
}

}  // namespace nucleus::attest
