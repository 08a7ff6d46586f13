// The canonical JSON of resources and topologies, and back. Made from the key table.
#include <algorithm>
#include <array>

#include "spec/load.hpp"
#include "spec/table.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

constexpr std::string_view kInputs = "inputs";  // no key of the file: digests of what its keys point at

template <class Resource>
Value ToValue(Scope scope, const Resource& resource) {
  Value table = Value::Table();
  for (const auto& key : KeySpecs()) {
    if (key.info.scope != scope || key.write == nullptr) continue;
    if (auto value = key.write(&resource)) table.Set(key.info.name, *std::move(value));
  }
  if constexpr (std::is_same_v<Resource, Service>) {
    if (!resource.inputs.empty()) {
      Value inputs = Value::Table();
      for (const auto& [name, digest] : resource.inputs) inputs.Set(name, Value::String(digest.Hex()));
      table.Set(kInputs, std::move(inputs));
    }
  }
  return table;
}

std::unexpected<Error> Corrupt(std::string_view what, std::string_view cause) {
  return Fail(ErrorCode::kCorrupt, "read", what, cause);
}

Result<> ReadInputs(const Value& value, Service& service) {
  for (const auto& member : value.members) {
    const auto digest = Digest::Parse(member.value.text);
    if (member.value.type != Value::Type::kString || !digest)
      return Corrupt("inputs", "'" + member.name + "' is no digest");
    service.inputs.emplace(member.name, *digest);
  }
  return {};
}

template <class Resource>
Result<Resource> FromValue(Scope scope, const Value& table, std::string_view name) {
  if (table.type != Value::Type::kTable) return Corrupt(name, "not a table");
  const Outside nowhere;
  Reader reader(nowhere);
  Resource resource;
  resource.name = name;
  std::size_t known = 0;
  for (const auto& key : KeySpecs()) {
    // A key without effect yet has no canonical form.
    if (key.info.scope != scope || key.write == nullptr) continue;
    const Value* value = table.Find(key.info.name);
    if (value == nullptr) continue;
    ++known;
    key.read(*value, key.info.name, reader, &resource);
  }
  if constexpr (std::is_same_v<Resource, Service>) {
    if (const Value* inputs = table.Find(kInputs)) {
      ++known;
      TRY(ReadInputs(*inputs, resource));
    }
  }
  if (known != table.members.size()) return Corrupt(name, "it has a key that nobody knows");
  if constexpr (std::is_same_v<Resource, Service>) Normalize(resource);
  if (reader.failed()) return Corrupt(name, reader.problems().front().message);
  return resource;
}

constexpr std::string_view kName = "name";

// What planning rests on: names that are used are there, and nobody waits for himself.
Result<> CheckReferences(const Topology& topology) {
  for (const auto& [name, service] : topology.services) {
    for (const auto& network : service.networks) {
      if (!topology.networks.contains(network)) return Corrupt(name, "it is on a network that is not there");
    }
    for (const auto& mount : service.volumes) {
      if (mount.volume.empty() || topology.volumes.contains(mount.volume)) continue;
      return Corrupt(name, "it mounts a volume that is not there");
    }
  }
  const Outside nowhere;
  Reader reader(nowhere);
  ValidateDependencies(topology, reader);
  if (reader.failed()) return Corrupt(topology.name, reader.problems().front().message);
  return {};
}

template <class Resource>
std::string OneToJson(Scope scope, const Resource& resource) {
  Value table = ToValue(scope, resource);
  Value outer = Value::Table();
  outer.Set(kName, Value::String(resource.name));
  outer.Set("spec", std::move(table));
  return ToCompactJson(outer);
}

template <class Resource>
Result<Resource> OneFromJson(Scope scope, std::string_view text) {
  const Value outer = TRY(FromCompactJson(text));
  const Value* name = outer.Find(kName);
  const Value* table = outer.Find("spec");
  if (name == nullptr || table == nullptr || !IsValidName(name->text)) return Corrupt("resource", "no name or no spec");
  return FromValue<Resource>(scope, *table, name->text);
}

template <class Resource>
void PutAll(Scope scope, std::string_view section, const std::map<std::string, Resource>& resources, Value& document) {
  if (resources.empty()) return;
  Value table = Value::Table();
  for (const auto& [name, resource] : resources) table.Set(name, ToValue(scope, resource));
  document.Set(section, std::move(table));
}

template <class Resource>
Result<> TakeAll(Scope scope, std::string_view section, const Value& document, std::map<std::string, Resource>& into) {
  const Value* table = document.Find(section);
  if (table == nullptr) return {};
  if (table->type != Value::Type::kTable) return Corrupt(section, "not a table");
  for (const auto& member : table->members) {
    if (!IsValidName(member.name)) return Corrupt(section, "a bad name");
    into.emplace(member.name, TRY(FromValue<Resource>(scope, member.value, member.name)));
  }
  return {};
}

}  // namespace

std::string ToJson(const Network& network) {
  return OneToJson(Scope::kNetwork, network);
}
std::string ToJson(const Volume& volume) {
  return OneToJson(Scope::kVolume, volume);
}
std::string ToJson(const Service& service) {
  return OneToJson(Scope::kService, service);
}
Result<Network> NetworkFromJson(std::string_view text) {
  return OneFromJson<Network>(Scope::kNetwork, text);
}
Result<Volume> VolumeFromJson(std::string_view text) {
  return OneFromJson<Volume>(Scope::kVolume, text);
}
Result<Service> ServiceFromJson(std::string_view text) {
  return OneFromJson<Service>(Scope::kService, text);
}

std::string ToJson(const Topology& topology) {
  Value document = Value::Table();
  document.Set(kName, Value::String(topology.name));
  if (topology.single_container) document.Set("single_container", Value::Bool(true));
  PutAll(Scope::kNetwork, "networks", topology.networks, document);
  PutAll(Scope::kVolume, "volumes", topology.volumes, document);
  PutAll(Scope::kService, "services", topology.services, document);
  return ToCompactJson(document);
}

Result<Topology> FromJson(std::string_view text) {
  const Value document = TRY(FromCompactJson(text));
  const Value* name = document.Find(kName);
  if (name == nullptr || !IsValidProjectName(name->text)) return Corrupt("topology", "it has no name");
  constexpr std::array<std::string_view, 5> kMembers{kName, "single_container", "networks", "volumes", "services"};
  for (const auto& member : document.members) {
    if (std::ranges::find(kMembers, std::string_view(member.name)) == kMembers.end()) {
      return Corrupt("topology", "it has a key that nobody knows");
    }
  }
  Topology topology;
  topology.name = name->text;
  const Value* single = document.Find("single_container");
  topology.single_container = single != nullptr && single->flag;
  TRY(TakeAll(Scope::kNetwork, "networks", document, topology.networks));
  TRY(TakeAll(Scope::kVolume, "volumes", document, topology.volumes));
  TRY(TakeAll(Scope::kService, "services", document, topology.services));
  TRY(CheckReferences(topology));
  return topology;
}

}  // namespace nucleus::spec
