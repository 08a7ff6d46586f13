#include "spec/reader.hpp"

#include <algorithm>
#include <filesystem>
#include <tuple>

namespace nucleus::spec {

std::string Problem::Text() const {
  std::string text;
  if (!file.empty()) {
    text = file;
    if (line > 0) text += ":" + std::to_string(line) + ":" + std::to_string(column);
    text += ": ";
  }
  if (warning) text += "warning: ";
  return text + message;
}

std::string Shown(std::string_view text) {
  constexpr std::size_t kLongest = 200;  // paths are seldom longer
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += "\\x";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
  if (text.size() > kLongest) {
    // Not in the midst of a UTF-8 sequence.
    while (!out.empty() && (static_cast<unsigned char>(out.back()) & 0xc0) == 0x80) out.pop_back();
    if (!out.empty() && static_cast<unsigned char>(out.back()) >= 0xc0) out.pop_back();
    out += "…";
  }
  return out;
}

void Reader::Report(Place place, std::string message, bool warning) {
  spec::Problem problem;
  if (place.line > 0 && place.file < files_.size()) {
    problem.file = files_[place.file].name;
    problem.line = place.line;
    problem.column = place.column;
  }
  problem.message = std::move(message);
  problem.warning = warning;
  if (!warning) ++errors_;
  // A hostile file can be wrong in a hundred thousand places; nobody reads more than these.
  constexpr std::size_t kMost = 1000;
  if (problems_.size() < kMost) {
    problems_.push_back(std::move(problem));
  } else {
    ++unseen_;
  }
}

namespace {

// Where a value came from when it is not in the file as it stands: the variables in it.
std::string Provenance(const Value& value) {
  return value.written.empty() ? "" : " (written as '" + Shown(value.written) + "')";
}

}  // namespace

void Reader::Wrong(std::string_view key, const Value& value, std::string_view cause) {
  if (value.refused) return;
  std::string message(key);
  message += ": ";
  if (value.type == Value::Type::kString) message += "'" + Shown(value.text) + "': ";
  if (value.type == Value::Type::kInteger) message += std::to_string(value.integer) + ": ";
  message += cause;
  Report(value.place, message + Provenance(value));
}

void Reader::WrongType(std::string_view key, const Value& value, std::string_view expected) {
  if (value.refused) return;
  const std::string_view found = value.type == Value::Type::kOther ? value.text : TypeName(value.type);
  Report(value.place, std::string(key) + ": expected " + std::string(expected) + ", found " + std::string(found) +
                          Provenance(value));
}

std::string Reader::PlaceText(Place place) const {
  if (place.line == 0 || place.file >= files_.size()) return "?";
  return files_[place.file].name + ":" + std::to_string(place.line) + ":" + std::to_string(place.column);
}

std::string Reader::HostPath(const Value& value) const {
  std::filesystem::path path(value.text);
  if (path.is_relative() && value.place.file < files_.size()) path = files_[value.place.file].directory / path;
  std::string text = path.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

std::vector<spec::Problem> Reader::TakeProblems() {
  const auto rank = [&](const spec::Problem& p) {
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (files_[i].name == p.file) return i;
    }
    return files_.size();
  };
  std::vector<std::pair<std::size_t, spec::Problem>> ranked;
  for (auto& p : problems_) ranked.emplace_back(rank(p), std::move(p));
  problems_.clear();
  std::ranges::stable_sort(ranked, {},
                           [](const auto& r) { return std::tuple(r.first, r.second.line, r.second.column); });
  std::vector<spec::Problem> out;
  for (auto& [index, p] : ranked) {
    const bool again = !out.empty() && out.back().Text() == p.Text();
    if (!again) out.push_back(std::move(p));
  }
  if (unseen_ > 0) out.push_back({.file = "", .message = "and " + std::to_string(unseen_) + " more problems"});
  return out;
}

}  // namespace nucleus::spec
