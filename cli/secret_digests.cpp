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

// With this each digest of the key begins.
constexpr std::size_t kIdBytes = 8;
Digest IdOf(std::string_view key) {
  return Sha256::Keyed(key, "id");
}
bool IsOfKey(const Digest& digest, const Digest& id) {
  return std::equal(id.bytes.begin(), id.bytes.begin() + kIdBytes, digest.bytes.begin());
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
  auto digest = Sha256::Keyed({reinterpret_cast<const char*>(own.bytes.data()), own.bytes.size()}, secret->view());
  const Digest id = IdOf(key);
  std::copy_n(id.bytes.begin(), kIdBytes, digest.bytes.begin());
  return digest;
}

std::string TellOf(const MachineKeyRead& key, const spec::Topology& applied, const spec::Topology& topology) {
  if (!key.key) return "whether secrets have changed is not known: " + key.why;
  const Digest id = IdOf(*key.key);
  for (const auto& [name, service] : topology.services) {
    const auto before = applied.services.find(name);
    if (before == applied.services.end()) continue;
    for (const auto& given : GivenTo(service)) {
      const auto was = before->second.inputs.find(given.input);
      if (was == before->second.inputs.end() || IsOfKey(was->second, id)) continue;
      if (service.inputs.at(given.input) == was->second) continue;  // it was not read
      return "the key of secrets' digests is another one than when they were applied: whether they have changed "
             "cannot be told, and each counts as changed";
    }
  }
  return "";
}

}  // namespace

std::string AddSecretDigests(const Directories& directories, const spec::Topology& applied, spec::Topology& topology) {
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
  return TellOf(key, applied, topology);
}

}  // namespace nucleus::cli
