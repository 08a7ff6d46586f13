#include "spec/read.hpp"

#include <algorithm>
#include <array>

#include "spec/core/nearest.hpp"
#include "spec/table.hpp"

namespace nucleus::spec {

namespace {

using Type = Value::Type;

constexpr std::string_view kContentsSuffix = "#contents";

void ReportUnknown(const Member& member, Scope scope, Reader& reader) {
  const auto nearest = NearestKey(scope, member.name);
  std::string message = "unknown key '" + Shown(member.name) + "'";
  if (nearest) message += ", did you mean '" + std::string(*nearest) + "'?";
  reader.Report(member.place, std::move(message));
}

// Where each key of a scope stands in the table, by name: found once, as files have thousands of keys.
struct Index {
  std::map<std::string_view, std::size_t> by_name;
  explicit Index(Scope scope) {
    const auto specs = KeySpecs();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      if (specs[i].info.scope == scope) by_name.emplace(specs[i].info.name, i);
    }
  }
};

const Index& IndexOf(Scope scope) {
  static const std::array<Index, 4> kIndexes{Index(Scope::kTopology), Index(Scope::kNetwork), Index(Scope::kVolume),
                                             Index(Scope::kService)};
  return kIndexes[static_cast<std::size_t>(scope)];
}

// Reads keys in the order of the key table. `extra` is a key that is none of the scope's and was seen to elsewhere.
void ReadKeys(const Value& table, Scope scope, Reader& reader, Origin origin, void* resource, Places& places,
              std::map<std::string, Digest>* inputs, std::string_view extra = "") {
  places[""] = table.place;
  if (table.type != Type::kTable) {
    reader.WrongType("this", table, "a table of keys");
    return;
  }
  std::vector<std::pair<std::size_t, const Member*>> found;
  for (const auto& member : table.members) {
    if (!extra.empty() && member.name == extra) continue;
    if (inputs != nullptr && origin == Origin::kCanonical && member.name.ends_with(kContentsSuffix)) {
      const auto digest = Digest::Parse(member.value.text);
      const std::string name = member.name.substr(0, member.name.size() - kContentsSuffix.size());
      if (digest) {
        inputs->emplace(name, *digest);
      } else {
        reader.Report(member.place, member.name + ": not a digest");
      }
      continue;
    }
    const auto& index = IndexOf(scope).by_name;
    const auto at = index.find(member.name);
    if (at == index.end()) {
      ReportUnknown(member, scope, reader);
    } else {
      found.emplace_back(at->second, &member);
    }
  }
  std::ranges::sort(found);
  for (const auto& [at, member] : found) {
    const KeySpec& spec = KeySpecs()[at];
    places[std::string(spec.info.name)] = member->value.place;
    spec.read(member->value, spec.info.name, reader, resource);
  }
}

// Keys that hang on other keys of the same table, before the latter lose whether they were given.
void CheckWithin(const Value& table, Reader& reader, const Service& service) {
  constexpr std::array<std::string_view, 5> kOfHealth{"health_interval", "health_timeout", "health_retries",
                                                      "health_start_period", "on_unhealthy"};
  for (const auto key : kOfHealth) {
    const Value* value = table.Find(key);
    if (value != nullptr && table.Find("health_check") == nullptr) {
      reader.Report(value->place, std::string(key) + ": there is no health_check it could apply to; add one");
    }
  }
  if (const Value* restart = table.Find("restart")) {
    if (service.type == ServiceType::kJob && service.restart != RestartPolicy::kNo) {
      reader.Report(restart->place, "restart: a job runs once; leave restart out, or write \"no\"");
    }
  }
  if (const Value* init = table.Find("init")) {
    if (service.mode == ServiceMode::kProduction && !service.init) {
      reader.Report(init->place, "init: production mode always has an init; leave the key out");
    }
  }
  if (const Value* network = table.Find("network")) {
    if (network->text == "bridge" && service.networks.empty()) {
      reader.Report(network->place, "network: \"bridge\" needs networks = [\"…\"] to say which");
    }
    if (network->text == "none" && !service.networks.empty()) {
      reader.Report(network->place, "network: \"none\" contradicts networks");
    }
  }
}

template <class Resource, class ReadOne>
void ReadSection(const Value& document, std::string_view section, Reader& reader,
                 std::map<std::string, Resource>& resources, ReadOne read_one) {
  const Value* table = document.Find(section);
  if (table == nullptr) return;
  if (table->type != Type::kTable) {
    reader.WrongType(section, *table, "tables such as [" + std::string(section) + ".NAME]");
    return;
  }
  for (const auto& member : table->members) {
    if (!IsValidName(member.name)) {
      reader.Report(member.place,
                    std::string(section) + ": '" + Shown(member.name) +
                        "' is not a name: letters, digits, '_', '.' and '-', a letter or digit first, at most 63");
      continue;
    }
    Resource resource;
    resource.name = member.name;
    read_one(member.value, resource);
    resource.places[""] = member.place;
    resources.emplace(member.name, std::move(resource));
  }
}

void ReadName(const Value& document, Reader& reader, Topology& topology) {
  const Value* name = document.Find("name");
  if (name == nullptr) {
    reader.Report(document.place, "name is missing: write name = \"…\" at the top, with lower-case letters and digits");
    return;
  }
  topology.places["name"] = name->place;
  if (name->type != Type::kString) {
    reader.WrongType("name", *name, "a string");
  } else if (!IsValidProjectName(name->text)) {
    reader.Wrong("name", *name,
                 "not a name: lower-case letters, digits, '_', '.' and '-', a letter or digit first, at most 63");
  } else {
    topology.name = name->text;
  }
}

void ReadContainer(const Value& document, Reader& reader, Origin origin, Topology& topology) {
  const Value* container = document.Find("container");
  if (container == nullptr) return;
  topology.single_container = true;
  if (document.Find("services") != nullptr) {
    reader.Report(container->place, "container: a file has either [container] or [services.*]");
  }
  if (container->type != Type::kTable) {
    reader.WrongType("container", *container, "a table [container]");
    return;
  }
  Service service;
  service.name = topology.name;
  ReadKeys(*container, Scope::kService, reader, origin, &service, service.places, &service.inputs, "name");
  if (service.type == ServiceType::kJob && container->Find("restart") == nullptr) service.restart = RestartPolicy::kNo;
  CheckWithin(*container, reader, service);
  Normalize(service);
  if (!service.name.empty()) topology.services.emplace(service.name, std::move(service));
}

}  // namespace

void ReadNetwork(const Value& table, Reader& reader, Origin origin, Network& network) {
  ReadKeys(table, Scope::kNetwork, reader, origin, &network, network.places, nullptr);
}

void ReadVolume(const Value& table, Reader& reader, Origin origin, Volume& volume) {
  ReadKeys(table, Scope::kVolume, reader, origin, &volume, volume.places, nullptr);
}

void ReadService(const Value& table, Reader& reader, Origin origin, Service& service) {
  ReadKeys(table, Scope::kService, reader, origin, &service, service.places, &service.inputs);
  if (service.type == ServiceType::kJob && table.Find("restart") == nullptr) service.restart = RestartPolicy::kNo;
  if (origin == Origin::kFile) CheckWithin(table, reader, service);
  Normalize(service);
}

Topology ReadTopology(const Value& document, Reader& reader, Origin origin) {
  Topology topology;
  ReadName(document, reader, topology);
  for (const auto& member : document.members) {
    if (FindKey(Scope::kTopology, member.name) != nullptr) continue;
    if (origin == Origin::kCanonical && (member.name == "format" || member.name == "single_container")) continue;
    ReportUnknown(member, Scope::kTopology, reader);
  }
  // Defaults are read with the services they were given to; where there is none, here.
  if (const Value* defaults = document.Find("defaults")) {
    Service scratch;
    Value table = *defaults;
    ReadKeys(table, Scope::kService, reader, origin, &scratch, scratch.places, nullptr);
  }
  ReadSection(document, "networks", reader, topology.networks,
              [&](const Value& table, Network& network) { ReadNetwork(table, reader, origin, network); });
  ReadSection(document, "volumes", reader, topology.volumes,
              [&](const Value& table, Volume& volume) { ReadVolume(table, reader, origin, volume); });
  ReadSection(document, "services", reader, topology.services,
              [&](const Value& table, Service& service) { ReadService(table, reader, origin, service); });
  ReadContainer(document, reader, origin, topology);
  for (const auto& file : reader.files()) topology.files.push_back(file.name);
  return topology;
}

}  // namespace nucleus::spec
