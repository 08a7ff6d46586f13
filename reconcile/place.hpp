// Places in the files of desired state: which one a field has, and how it is written for people. Pure.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "spec/types.hpp"

namespace nucleus::reconcile {

// Of a field of the canonical form, such as "memory" or "volumes:/etc/app.conf#contents"; where it has none, of the
// whole resource.
spec::Place FindPlace(const spec::Places& places, std::string_view field);

std::string PlaceText(const spec::Place& place, std::span<const std::string> files);  // "shop.toml:14"; "" for none
std::string ExactPlaceText(const spec::Place& place, std::span<const std::string> files);  // "shop.toml:14:3"

}  // namespace nucleus::reconcile
