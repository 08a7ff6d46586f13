#include "spec/read.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "spec/inputs.hpp"
#include "spec/net.hpp"
#include "spec/table.hpp"

namespace nucleus::spec {

namespace {

using Type = Value::Type;

constexpr std::string_view kName = "name";  // of a service: see CheckName()
constexpr std::string_view kNameRule =
    "letters, digits, '_', '.' and '-', a letter or digit first, at most 63 characters";

std::vector<std::string_view> KeyNames(Scope scope) {
  std::vector<std::string_view> names;
  for (const auto& key : Keys()) {
    if (key.scope == scope) names.push_back(key.name);
  }
  return names;
}

// The keys of a table, and where they stand in it; what is no key is reported, but for `besides`, which the caller
// knows.
std::vector<std::pair<const KeySpec*, const Member*>> KeysOf(const Value& table, Scope scope, Reader& reader,
                                                             std::string_view besides = "") {
  std::vector<std::pair<const KeySpec*, const Member*>> keys;
  keys.reserve(table.members.size());
  for (const auto& member : table.members) {
    if (const auto* key = FindKeySpec(scope, member.name)) {
      keys.emplace_back(key, &member);
    } else if (besides.empty() || member.name != besides) {
      reader.Report(member.place,
                    "unknown key '" + Shown(member.name) + "'" + reader.Suggestion(member.name, KeyNames(scope)));
    }
  }
  return keys;
}

template <class Resource>
void ReadKeys(Scope scope, const Value& table, Reader& reader, Resource& resource, std::string_view besides = "") {
  // In the order of the keys, which build upon each other.
  auto given = KeysOf(table, scope, reader, besides);
  std::ranges::sort(given);
  for (const auto& [key, member] : given) {
    if (key->read == nullptr) continue;
    resource.places.emplace(member->name, member->place);
    key->read(member->value, key->info.name, reader, &resource);
  }
}

// The places of a list's items, as "key:item". A range of ports is one item and several forwards: it has none.
template <class Item, class NameOf>
void NoteItems(const Value& table, std::string_view key, const std::vector<Item>& items, NameOf name_of,
               Places& places) {
  const Value* list = table.Find(key);
  if (list == nullptr || list->items.size() != items.size()) return;
  for (std::size_t i = 0; i < items.size(); ++i) {
    places.insert_or_assign(std::string(key) + ":" + name_of(items[i]), list->items[i].place);
  }
}

// Of a table, or a list of "NAME=value", whose order the environment does not keep.
void NoteVariables(const Value& table, Places& places) {
  const Value* given = table.Find("environment");
  if (given == nullptr) return;
  for (const auto& member : given->members) places.insert_or_assign("environment:" + member.name, member.place);
  for (const auto& item : given->items)
    places.insert_or_assign("environment:" + item.text.substr(0, item.text.find('=')), item.place);
}

void NotePlacesOfItems(const Value& table, Service& service) {
  auto& places = service.places;
  NoteItems(table, "networks", service.networks, [](const std::string& name) { return name; }, places);
  NoteItems(table, "depends_on", service.depends_on, [](const Dependency& d) { return d.service; }, places);
  NoteItems(table, "port_forwards", service.port_forwards, [](const PortForward& p) { return Format(p); }, places);
  NoteItems(table, "volumes", service.volumes, [](const VolumeMount& m) { return m.destination; }, places);
  NoteItems(table, "tmpfs", service.tmpfs, [](const TmpfsMount& m) { return m.destination; }, places);
  NoteItems(table, "io_limits", service.io_limits, [](const IoLimit& l) { return l.device; }, places);
  NoteItems(table, "secrets", service.secrets, [](const SecretMount& s) { return s.destination; }, places);
  NoteItems(
      table, "systemd_credentials", service.systemd_credentials, [](const SecretMount& s) { return s.destination; },
      places);
  NoteVariables(table, places);
}

// Keys whose value means nothing by itself, and is checked before it is lost.
void CheckWithin(const Value& table, Reader& reader, Service& service) {
  if (const Value* init = table.Find("init");
      init != nullptr && init->type == Type::kBool && !init->flag && service.mode == ServiceMode::kProduction) {
    reader.Report(init->place, "init: production mode always has an init; leave the key out");
  }
  const Value* network = table.Find("network");
  if (network == nullptr) return;
  if (network->text == "bridge" && reader.for_flags()) {
    service.networks = {service.name};
  } else if (network->text == "bridge" && table.Find("networks") == nullptr) {
    reader.Report(network->place, "network: \"bridge\" needs networks = [\"…\"] to say which");
  }
  if ((network->text == "none" || network->text == "host") && !service.networks.empty()) {
    reader.Report(network->place, "network: \"" + network->text + "\" contradicts networks");
  }
  if (service.network != NetworkKind::kHost) service.network.reset();
}

// The name key of a service or container: it may repeat what the table or the topology says, nothing else.
void CheckName(const Value& table, std::string_view expected, std::string_view why, Reader& reader) {
  const Value* name = table.Find("name");
  if (name == nullptr || (name->type == Type::kString && name->text == expected)) return;
  if (name->type != Type::kString) {
    reader.WrongType("name", *name, "a name");
  } else if (!expected.empty()) {
    reader.Wrong("name", *name, why);
  }
}

void ReadService(const Value& table, Reader& reader, Service& service) {
  ReadKeys(Scope::kService, table, reader, service, kName);
  if (service.type == ServiceType::kJob && !service.places.contains("restart")) service.restart = RestartPolicy::kNo;
  CheckWithin(table, reader, service);
  CheckPolicyFiles(table, reader);
  NotePlacesOfItems(table, service);
  Normalize(service);
}

void ReadOne(const Value& table, Reader& reader, Network& network) {
  ReadKeys(Scope::kNetwork, table, reader, network);
}

void ReadOne(const Value& table, Reader& reader, Volume& volume) {
  ReadKeys(Scope::kVolume, table, reader, volume);
}

void ReadOne(const Value& table, Reader& reader, Service& service) {
  CheckName(table, service.name, "the service is called '" + service.name + "' by its table; leave the key out",
            reader);
  ReadService(table, reader, service);
}

template <class Resource>
void ReadSection(const Value& document, std::string_view section, Reader& reader,
                 std::map<std::string, Resource>& resources) {
  const Value* table = document.Find(section);
  if (table == nullptr) return;
  if (table->type != Type::kTable) {
    reader.WrongType(section, *table, "tables such as [" + std::string(section) + ".NAME]");
    return;
  }
  for (const auto& member : table->members) {
    const bool named = IsValidName(member.name);
    if (!named) {
      reader.Report(member.place,
                    std::string(section) + ": '" + Shown(member.name) + "' is not a name: " + std::string(kNameRule));
    }
    if (member.value.type != Type::kTable) {
      reader.WrongType(std::string(section) + "." + Shown(member.name), member.value, "a table of keys");
      continue;
    }
    // Names come in their order from a file.
    std::optional<Resource> unnamed;
    Resource& resource = named ? resources.try_emplace(resources.end(), member.name)->second : unnamed.emplace();
    resource.name = member.name;
    resource.places[""] = member.place;
    ReadOne(member.value, reader, resource);
  }
}

void ReadName(const Value& document, Reader& reader, Topology& topology) {
  const auto name = std::ranges::find(document.members, "name", &Member::name);
  if (name == document.members.end()) {
    reader.Report(document.place, "name is missing: write name = \"…\" at the top, in lower case");
    return;
  }
  topology.places["name"] = name->place;
  if (name->value.type != Type::kString) {
    reader.WrongType("name", name->value, "a string");
  } else if (!IsValidProjectName(name->value.text)) {
    reader.Wrong("name", name->value,
                 "not a name: lower-case letters, digits, '_', '.' and '-', a letter or digit first, at most 63");
  } else {
    topology.name = name->value.text;
  }
}

void ReadContainer(const Value& document, Reader& reader, Topology& topology) {
  const auto container = std::ranges::find(document.members, "container", &Member::name);
  if (container == document.members.end()) return;
  topology.single_container = true;
  if (document.Find("services") != nullptr) {
    reader.Report(container->place, "container: a file has either [container] or [services.*]");
    return;
  }
  if (container->value.type != Type::kTable) {
    reader.WrongType("container", container->value, "a table [container]");
    return;
  }
  CheckName(container->value, topology.name, "the topology is called '" + topology.name + "'; leave one of them out",
            reader);
  Service service;
  service.name = topology.name;
  service.places[""] = container->place;
  ReadService(container->value, reader, service);
  if (!service.name.empty()) topology.services.emplace(service.name, std::move(service));
}

// Defaults are read once more with each service they were given to, where they were not overridden.
void ReadDefaults(const Value& document, Reader& reader) {
  const Value* defaults = document.Find("defaults");
  if (defaults == nullptr) return;
  if (defaults->type != Type::kTable) {
    reader.WrongType("defaults", *defaults, "a table [defaults]");
    return;
  }
  Service scratch;
  ReadKeys(Scope::kService, *defaults, reader, scratch);
}

}  // namespace

Topology ReadTopologyName(const Value& document, Reader& reader) {
  Topology topology;
  for (const auto& file : reader.files()) topology.files.push_back(file.name);
  ReadName(document, reader, topology);
  return topology;
}

Topology ReadSingle(const Value& table, const std::string& project, const std::string& name, Reader& reader) {
  Topology topology;
  topology.name = project;
  topology.single_container = true;
  Service service;
  service.name = name;
  ReadService(table, reader, service);
  // A container on a bridge has one of its own, called as it is.
  for (const auto& network : service.networks) topology.networks[network].name = network;
  topology.services.emplace(name, std::move(service));
  return topology;
}

Topology ReadTopology(const Value& document, Reader& reader) {
  Topology topology;
  for (const auto& file : reader.files()) topology.files.push_back(file.name);
  (void)KeysOf(document, Scope::kTopology, reader);
  ReadName(document, reader, topology);
  ReadDefaults(document, reader);
  ReadSection(document, "networks", reader, topology.networks);
  ReadSection(document, "volumes", reader, topology.volumes);
  ReadSection(document, "services", reader, topology.services);
  ReadContainer(document, reader, topology);
  return topology;
}

}  // namespace nucleus::spec
