// Resources in canonical form, by the table of keys.
#include <algorithm>

#include "spec/keys.hpp"
#include "spec/table.hpp"

namespace nucleus::spec {

namespace {

// The keys of a resource that have a meaning, by name.
std::vector<const KeySpec*> MeaningfulKeys(Scope scope) {
  std::vector<const KeySpec*> keys;
  for (const auto& key : KeySpecs()) {
    if (key.info.scope != scope || key.write == nullptr) continue;
    if (key.info.name == "env_file") continue;  // where the variables were written is spelling: their values are there
    keys.push_back(&key);
  }
  std::ranges::sort(keys, {}, [](const KeySpec* key) { return key->info.name; });
  return keys;
}

template <Scope scope, class Resource>
Fields FieldsOf(const Resource& resource) {
  static const auto keys = MeaningfulKeys(scope);
  constexpr std::size_t kUsual = 16;  // more than most resources have
  Fields fields;
  fields.reserve(kUsual);
  std::string json;
  for (const auto* key : keys) {
    json.clear();
    if (key->append(&resource, json)) fields.push_back({std::string(key->info.name), json});
  }
  return fields;
}

}  // namespace

Fields CanonicalFields(const Network& network) {
  return FieldsOf<Scope::kNetwork>(network);
}

Fields CanonicalFields(const Volume& volume) {
  return FieldsOf<Scope::kVolume>(volume);
}

Fields CanonicalFields(const Service& service) {
  auto fields = FieldsOf<Scope::kService>(service);
  for (const auto& [name, digest] : service.inputs) {
    fields.push_back({name + "#contents", '"' + digest.Hex() + '"'});
  }
  if (!service.inputs.empty()) std::ranges::sort(fields, {}, &Field::name);
  return fields;
}

Digest DigestOf(const Fields& fields) {
  Sha256 hash;
  for (const auto& field : fields) hash.AddField(field.name).AddField(field.value);
  return hash.Finish();
}

void Normalize(Service& service) {
  const auto sort = [](auto& list) {
    std::ranges::sort(list);
    list.erase(std::unique(list.begin(), list.end()), list.end());
  };
  sort(service.additional_groups);
  sort(service.port_forwards);
  if (service.egress_allow) sort(*service.egress_allow);
  sort(service.egress_tcp_ports);
  sort(service.egress_udp_ports);
  sort(service.egress_domains);
  std::ranges::sort(service.secrets);  // two for one place are an error, be they the same
  std::ranges::sort(service.systemd_credentials);
  // A mount point comes after what it is mounted on.
  std::ranges::stable_sort(service.volumes, {}, &VolumeMount::destination);
  std::ranges::stable_sort(service.tmpfs, {}, &TmpfsMount::destination);
  std::ranges::stable_sort(service.io_limits, {}, &IoLimit::device);
  std::ranges::stable_sort(service.depends_on, {}, &Dependency::service);
}

}  // namespace nucleus::spec
