#include "cli/secret_digests.hpp"

#include <fcntl.h>

#include <algorithm>
#include <optional>

#include "actuators/sys/file.hpp"
#include "actuators/sys/secret.hpp"
#include "cli/machine_key.hpp"

namespace nucleus::cli {

namespace {

std::optional<Digest> DigestOf(std::string_view key, const std::string& service, const spec::SecretMount& mount) {
  const auto file = sys::Open(mount.source, O_RDONLY | O_NONBLOCK);
  if (!file) return {};
  const auto secret = sys::Secret::Read(*file, mount.source);
  if (!secret) return {};
  std::string place = service;
  place += '\0';
  place += mount.destination;
  const Digest own = Sha256::Keyed(key, place);
  return Sha256::Keyed({reinterpret_cast<const char*>(own.bytes.data()), own.bytes.size()}, secret->view());
}

}  // namespace

void AddSecretDigests(const Directories& directories, const spec::Topology& applied, spec::Topology& topology) {
  const auto has_secrets = [](const auto& item) { return !item.second.secrets.empty(); };
  if (std::ranges::none_of(topology.services, has_secrets)) return;
  const auto key = MachineKey(directories);
  for (auto& [name, service] : topology.services) {
    const auto before = applied.services.find(name);
    for (const spec::SecretMount& mount : service.secrets) {
      const std::string input = "secrets:" + mount.destination;
      // A job that is done is not done again for it.
      if (service.type == spec::ServiceType::kJob) continue;
      auto digest = key ? DigestOf(*key, topology.name + "/" + name, mount) : std::nullopt;
      if (!digest && before != applied.services.end()) {
        const auto known = before->second.inputs.find(input);
        if (known != before->second.inputs.end()) digest = known->second;
      }
      service.inputs.erase(input);
      if (digest) service.inputs.emplace(input, *digest);
    }
  }
}

}  // namespace nucleus::cli
