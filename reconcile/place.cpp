#include "reconcile/place.hpp"

#include "spec/core/text.hpp"

namespace nucleus::reconcile {

spec::Place FindPlace(const spec::Places& places, std::string_view field) {
  const auto exact = places.find(field.substr(0, field.find_first_of(":#")));
  if (exact != places.end()) return exact->second;
  const auto whole = places.find("");
  return whole == places.end() ? spec::Place{} : whole->second;
}

std::string PlaceText(const spec::Place& place, std::span<const std::string> files) {
  if (place.line == 0 || place.file >= files.size()) return "";
  return Printable(files[place.file]) + ":" + std::to_string(place.line);
}

std::string ExactPlaceText(const spec::Place& place, std::span<const std::string> files) {
  const std::string text = PlaceText(place, files);
  return text.empty() ? text : text + ":" + std::to_string(place.column);
}

}  // namespace nucleus::reconcile
