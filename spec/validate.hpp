// What no single key can tell: whether the resources of a topology fit together, and fit the machine's files.
// Every problem is reported, each at the key or item that causes it. The outside may be without functions: then only
// what the topology says about itself is checked.
#pragma once

#include "spec/reader.hpp"

namespace nucleus::spec {

void Validate(const Topology& topology, Reader& reader);

// Services and networks among each other.
void ValidateNetworks(const Topology& topology, Reader& reader);
void ValidatePorts(const Topology& topology, Reader& reader);
void ValidateDependencies(const Topology& topology, Reader& reader);
// One service by itself.
void ValidateService(const Service& service, const Topology& topology, Reader& reader);
void ValidateMounts(const Service& service, const Topology& topology, Reader& reader);

// The place of a key, or of the resource where the key was not written.
template <class Resource>
Place PlaceOf(const Resource& resource, std::string_view key) {
  auto place = resource.places.find(key);
  if (place == resource.places.end()) place = resource.places.find("");
  return place == resource.places.end() ? Place{} : place->second;
}

// The place of one item of a list, by what the item is named after (see read.cpp); else that of the list's key.
inline Place PlaceOfItem(const Service& service, std::string_view key, std::string_view item) {
  const auto place = service.places.find(std::string(key) + ":" + std::string(item));
  return place == service.places.end() ? PlaceOf(service, key) : place->second;
}

// Whether the key was written, rightly or not.
inline bool IsGiven(const Service& service, std::string_view key) {
  return service.places.contains(key);
}

}  // namespace nucleus::spec
