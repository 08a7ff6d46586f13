#include "cli/secret_digests.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "actuators/sys/file.hpp"
#include "actuators/sys/secret.hpp"

namespace nucleus::cli {

namespace {

constexpr std::size_t kKeyBytes = 32;

// None: it is not there, or is none that only its owner can have written and read.
std::optional<std::string> ReadKey(const std::string& path) {
  const auto file = sys::Open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  struct stat st{};
  if (!file || ::fstat(file->get(), &st) != 0 || !S_ISREG(st.st_mode)) return {};
  if (st.st_uid != ::geteuid() || (st.st_mode & 077U) != 0) return {};
  auto key = sys::ReadAll(file->get(), path, kKeyBytes);
  return key && key->size() == kKeyBytes ? std::optional(std::move(*key)) : std::nullopt;
}

// Written beside and linked, so that of two who make one at once both have the same, and whole.
Result<> MakeKey(const Directories& directories) {
  TRY(sys::MakeDirectories(directories.state, 0755));
  std::string key(kKeyBytes, '\0');
  if (::getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) return FailSys("getrandom", "key");
  const std::string path = directories.KeyFile();
  const std::string beside = path + "." + std::to_string(::getpid());
  TRY(sys::ReplaceFile(beside, key, 0600, true));
  const bool made = ::link(beside.c_str(), path.c_str()) == 0 || errno == EEXIST;
  const int err = errno;
  ::unlink(beside.c_str());
  if (!made) return FailSys("link", path, err);
  return {};
}

std::optional<std::string> KeyOf(const Directories& directories) {
  if (auto key = ReadKey(directories.KeyFile())) return key;
  if (!MakeKey(directories)) return {};
  return ReadKey(directories.KeyFile());
}

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
  const auto key = KeyOf(directories);
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
