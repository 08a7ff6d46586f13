// The inner face of the key table: how each key is read, written and described. See keys.hpp for the outer one.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "spec/keys.hpp"
#include "spec/reader.hpp"
#include "spec/value.hpp"

namespace nucleus::spec {

// resource: a Network, Volume or Service by the key's scope.
struct KeySpec {
  KeyInfo info;
  // Reports what is wrong; leaves the resource as it was then.
  void (*read)(const Value& value, std::string_view key, Reader& reader, void* resource) = nullptr;
  // None where the field has its default.
  std::optional<Value> (*write)(const void* resource) = nullptr;
  // The same as compact JSON, appended; false where the field has its default.
  bool (*append)(const void* resource, std::string& json) = nullptr;
  std::string (*schema)() = nullptr;
  // Of a key without effect yet: values, as canonical JSON, that say what happens anyway.
  std::string_view working;
};

// In the order of the reference, which is the order of reading: a key comes after those it builds upon.
// Keys of the topology itself have neither read nor write: see assemble.cpp.
std::span<const KeySpec> KeySpecs();
const KeySpec* FindKeySpec(Scope scope, std::string_view name);

// The name of the key that this is another name of; the name itself where it is none.
std::string_view CanonicalKey(Scope scope, std::string_view name);

// Canonical spelling of lists whose order has no meaning: sorted, each item once.
void Normalize(Service& service);

}  // namespace nucleus::spec
