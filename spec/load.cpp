#include "spec/load.hpp"

#include "spec/assemble.hpp"
#include "spec/inputs.hpp"
#include "spec/table.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

void ReportUnknown(const Value& table, Scope scope, Reader& reader) {
  for (const auto& field : table.members) {
    if (FindKey(scope, field.name) != nullptr) continue;
    const auto nearest = NearestKey(scope, field.name);
    reader.Report(field.place, "unknown key '" + Shown(field.name) + "'" +
                                   (nearest ? ", did you mean '" + std::string(*nearest) + "'?" : ""));
  }
}

template <class Resource>
Resource ReadResource(Scope scope, const Member& member, Reader& reader) {
  Resource resource;
  resource.name = member.name;
  resource.places[""] = member.place;
  const Value& table = member.value;
  if (table.type != Value::Type::kTable) {
    reader.WrongType(member.name, table, "a table");
    return resource;
  }
  ReportUnknown(table, scope, reader);
  for (const auto& key : KeySpecs()) {
    if (key.info.scope != scope || key.read == nullptr) continue;
    for (const auto& field : table.members) {
      if (field.name != key.info.name) continue;
      resource.places.emplace(field.name, field.place);
      key.read(field.value, key.info.name, reader, &resource);
    }
  }
  if constexpr (std::is_same_v<Resource, Service>) {
    if (resource.type == ServiceType::kJob && !resource.places.contains("restart"))
      resource.restart = RestartPolicy::kNo;
    Normalize(resource);
  }
  return resource;
}

template <class Resource>
void ReadAll(Scope scope, std::string_view section, const Value& document, Reader& reader,
             std::map<std::string, Resource>& into) {
  const Value* table = document.Find(section);
  if (table == nullptr) return;
  for (const auto& member : table->members) {
    if (!IsValidName(member.name)) {
      reader.Report(member.place, "'" + Shown(member.name) +
                                      "' is not a name: letters, digits and _ . - after the first, at most 63");
      continue;
    }
    into.emplace(member.name, ReadResource<Resource>(scope, member, reader));
  }
}

void CheckTables(const Value& document, Reader& reader) {
  ReportUnknown(document, Scope::kTopology, reader);
  for (const char* section : {"networks", "volumes", "services", "defaults", "container"}) {
    const Value* table = document.Find(section);
    if (table != nullptr && table->type != Value::Type::kTable) reader.WrongType(section, *table, "a table");
  }
  // Also where no service takes them.
  const Value* defaults = document.Find("defaults");
  if (defaults != nullptr && defaults->type == Value::Type::kTable) ReportUnknown(*defaults, Scope::kService, reader);
}

Loaded Finish(std::optional<Value> document, Reader& reader) {
  Loaded loaded;
  if (document) {
    Topology topology;
    CheckTables(*document, reader);
    const Value* name = document->Find("name");
    if (name != nullptr) topology.name = name->text;
    if (!IsValidProjectName(topology.name)) reader.Report({}, "the topology has no valid name");
    for (const auto& file : reader.files()) topology.files.push_back(file.name);
    ReadAll(Scope::kNetwork, "networks", *document, reader, topology.networks);
    ReadAll(Scope::kVolume, "volumes", *document, reader, topology.volumes);
    ReadAll(Scope::kService, "services", *document, reader, topology.services);
    if (const Value* written = document->Find("container")) {
      Value container = *written;
      std::erase_if(container.members, [](const Member& member) { return member.name == "name"; });
      topology.single_container = true;
      topology.services.emplace(
          topology.name,
          ReadResource<Service>(Scope::kService, {topology.name, written->place, std::move(container)}, reader));
    }
    for (auto& [service_name, service] : topology.services) ReadInputs(service, reader);
    Validate(topology, reader);
    if (!reader.failed()) loaded.topology = std::move(topology);
  }
  loaded.problems = reader.TakeProblems();
  return loaded;
}

}  // namespace

Loaded Load(std::span<const std::string> paths, const Outside& outside) {
  Reader reader(outside);
  return Finish(Assemble(paths, reader), reader);
}

Loaded LoadText(std::string_view text, const std::string& file_name, const Outside& outside) {
  Reader reader(outside);
  return Finish(AssembleText(text, file_name, reader), reader);
}

}  // namespace nucleus::spec
