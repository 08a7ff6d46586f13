#include "cli/secret_digests.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <vector>

#include "actuators/sys/file.hpp"
#include "actuators/sys/secret.hpp"
#include "cli/machine_key.hpp"

namespace nucleus::cli {

namespace {

struct Given {
  std::string file;   // "": a credential, and there is no unit that gives any
  std::string input;  // "secrets:/run/secrets/key"
  std::string place;
};

// systemd.exec(5), "Credentials".
std::string CredentialFile(const std::string& name) {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  return directory != nullptr && *directory == '/' ? std::string(directory) + "/" + name : std::string();
}

// A job that is done is not done again for them.
std::vector<Given> GivenTo(const spec::Service& service) {
  std::vector<Given> all;
  if (service.type == spec::ServiceType::kJob) return all;
  for (const auto& mount : service.secrets)
    all.push_back({mount.source, "secrets:" + mount.destination, mount.destination});
  for (const auto& mount : service.systemd_credentials)
    all.push_back({CredentialFile(mount.source), "systemd_credentials:" + mount.destination, mount.destination});
  return all;
}

std::optional<Digest> DigestOf(std::string_view key, const std::string& service, const Given& given) {
  if (given.file.empty()) return {};
  const auto file = sys::Open(given.file, O_RDONLY | O_NONBLOCK);
  if (!file) return {};
  const auto secret = sys::Secret::Read(*file, given.file);
  if (!secret) return {};
  std::string place = service;
  place += '\0';
  place += given.place;
  const Digest own = Sha256::Keyed(key, place);
  return Sha256::Keyed({reinterpret_cast<const char*>(own.bytes.data()), own.bytes.size()}, secret->view());
}

bool WasApplied(const spec::Topology& applied) {
  return std::ranges::any_of(applied.services, [](const auto& item) {
    return std::ranges::any_of(GivenTo(item.second),
                               [&](const Given& given) { return item.second.inputs.contains(given.input); });
  });
}

std::string TellOf(const MachineKeyRead& key, state::Store& store, const spec::Topology& applied) {
  if (!key.key) return "whether secrets have changed is not known: " + key.why;
  if (!WasApplied(applied)) return "";
  const auto last = store.LastRevision(applied.name);
  if (!last || !*last || key.since_ms <= (*last)->time_ms) return "";
  return "the key of secrets' digests is another one than when they were applied: whether they have changed cannot be "
         "told, and each counts as changed";
}

}  // namespace

std::string AddSecretDigests(const Directories& directories, state::Store& store, const spec::Topology& applied,
                             spec::Topology& topology) {
  const auto is_given = [](const auto& item) { return !GivenTo(item.second).empty(); };
  if (std::ranges::none_of(topology.services, is_given)) return "";
  const auto key = ReadMachineKey(directories);
  for (auto& [name, service] : topology.services) {
    const auto before = applied.services.find(name);
    for (const Given& given : GivenTo(service)) {
      auto digest = key.key ? DigestOf(*key.key, topology.name + "/" + name, given) : std::nullopt;
      if (!digest && before != applied.services.end()) {
        const auto known = before->second.inputs.find(given.input);
        if (known != before->second.inputs.end()) digest = known->second;
      }
      service.inputs.erase(given.input);
      if (digest) service.inputs.emplace(given.input, *digest);
    }
  }
  return TellOf(key, store, applied);
}

}  // namespace nucleus::cli
