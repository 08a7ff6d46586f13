#include "reconcile/place.hpp"

#include <array>
#include <cstdio>

namespace nucleus::reconcile {

std::string CleanText(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out += c;
      continue;
    }
    std::array<char, 8> escaped{};
    std::snprintf(escaped.data(), escaped.size(), "\\x%02x", byte);
    out += escaped.data();
  }
  return out;
}

spec::Place FindPlace(const spec::Places& places, std::string_view field) {
  const auto exact = places.find(field.substr(0, field.find_first_of(":#")));
  if (exact != places.end()) return exact->second;
  const auto whole = places.find("");
  return whole == places.end() ? spec::Place{} : whole->second;
}

std::string PlaceText(const spec::Place& place, std::span<const std::string> files) {
  if (place.line == 0 || place.file >= files.size()) return "";
  return CleanText(files[place.file]) + ":" + std::to_string(place.line);
}

std::string ExactPlaceText(const spec::Place& place, std::span<const std::string> files) {
  const std::string text = PlaceText(place, files);
  return text.empty() ? text : text + ":" + std::to_string(place.column);
}

}  // namespace nucleus::reconcile
