// The one table of keys of the desired-state file. The parser, the canonical form, the JSON Schema, the documentation
// and the planner's field table are all made from it; `run` flags are the same keys with dashes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/types.hpp"

namespace nucleus::spec {

enum class Scope : std::uint8_t { kTopology, kNetwork, kVolume, kService };

// A key as documentation and tools see it. How a key is read and written back is in keys.cpp.
struct KeyInfo {
  std::string_view name;  // "memory", "health_check"
  Scope scope = Scope::kService;
  std::string_view type;     // "size", "duration", "list of ports", ... as the reference names it
  std::string_view summary;  // one sentence
  bool supported = true;     // false: known, checked for its type, and refused with "not supported yet"
};

std::span<const KeyInfo> Keys();
const KeyInfo* FindKey(Scope scope, std::string_view name);

// Other names of keys: those of the `run` flags where these differ.
struct KeyAlias {
  Scope scope;
  std::string_view alias;
  std::string_view key;
};
std::span<const KeyAlias> KeyAliases();

// One field of a resource in canonical form: the key's name and its value as compact JSON with sorted keys.
// Only fields that differ from their default are present; contents digests appear as "name#contents".
// A secret's content would appear only as a keyed digest.
struct Field {
  std::string name;
  std::string value;
  bool operator==(const Field&) const = default;
};
using Fields = std::vector<Field>;  // sorted by name

Fields CanonicalFields(const Network& network);
Fields CanonicalFields(const Volume& volume);
Fields CanonicalFields(const Service& service);
Digest DigestOf(const Fields& fields);

}  // namespace nucleus::spec
