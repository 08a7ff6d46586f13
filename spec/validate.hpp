// What no single key can tell: whether the resources of a topology fit together, and fit the machine's files.
// Every problem is reported, each at the key that causes it.
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

}  // namespace nucleus::spec
