#include "spec/inputs.hpp"

#include <algorithm>
#include <array>

#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  text.remove_prefix(std::min(text.find_first_not_of(kBlanks), text.size()));
  text.remove_suffix(text.size() - std::min(text.find_last_not_of(kBlanks) + 1, text.size()));
  return text;
}

bool IsVariableName(std::string_view name) {
  const auto good = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
  };
  return !name.empty() && std::ranges::all_of(name, good) && (name[0] < '0' || name[0] > '9');
}

class InputReader {
 public:
  explicit InputReader(Reader& reader) : reader_(reader) {}

  void Read(Service& service) {
    ReadEnvFiles(service);
    ReadConfigFiles(service);
    ReadManifest(service);
    ReadPolicy(service, service.seccomp_profile, "seccomp_profile");
    ReadPolicy(service, service.caps_policy, "caps_policy");
    ReadPolicy(service, service.landlock_policy, "landlock_policy");
  }

 private:
  struct Variable {
    std::string value, place;  // "app.env:3"
  };
  using Variables = std::map<std::string, Variable>;

  void ReadEnvFiles(Service& service) {
    if (service.env_files.empty()) return;
    Variables merged;
    for (const auto& path : service.env_files) {
      for (const auto& [name, variable] : EnvOf(path, PlaceOf(service, "env_file"))) merged[name] = variable;
    }
    // What reaches the service counts: comments, order and overridden variables do not.
    Sha256 hash;
    for (const auto& [name, variable] : merged) {
      if (service.environment.contains(name)) continue;
      if (LeadsTheLoader(name) && !service.allow_loader_variables) {
        reader_.Report(PlaceOf(service, "env_file"),
                       "env_file: " + variable.place + ": " + Shown(name) + " leads the dynamic loader: " +
                           Spelled("allow_loader_variables", "true", reader_) + " permits it");
        continue;
      }
      service.environment.emplace(name, variable.value);
      hash.AddField(name).AddField(variable.value);
    }
    service.inputs["env_file"] = hash.Finish();
  }

  // A regular file that is mounted read-only is configuration: small ones are part of what the service is.
  void ReadConfigFiles(Service& service) {
    const auto& outside = reader_.outside();
    for (const auto& mount : service.volumes) {
      if (mount.source.empty() || !mount.read_only) continue;
      if (outside.path_kind(mount.source) != Outside::PathKind::kFile) continue;
      if (outside.file_size && outside.file_size(mount.source) > kLargestConfigFile) continue;
      const Place place = PlaceOfItem(service, "volumes", mount.destination);
      const auto digest = DigestOfFile(mount.source, kLargestConfigFile, place, "volumes");
      if (digest) service.inputs["volumes:" + mount.destination] = *digest;
    }
  }

  void ReadManifest(Service& service) {
    const std::string path = service.rootfs + "/" + std::string(kRootfsManifest);
    if (service.rootfs.empty() || reader_.outside().path_kind(path) != Outside::PathKind::kFile) return;
    const auto digest = DigestOfFile(path, SIZE_MAX, PlaceOf(service, "rootfs"), "rootfs");
    if (digest) service.inputs["rootfs"] = *digest;
  }

  void ReadPolicy(Service& service, const std::string& path, std::string_view key) {
    if (path.empty()) return;
    const Place place = PlaceOf(service, key);
    const auto text = reader_.outside().read_file(path);
    if (!text) {
      reader_.Report(place, std::string(key) + ": " + text.error().Message());
    } else if (text->size() > kLargestPolicyFile) {
      reader_.Report(place, std::string(key) + ": " + Shown(path) + " is larger than 1M");
    } else {
      service.inputs[std::string(key)] = Sha256::Of(*text);
    }
  }

  const Variables& EnvOf(const std::string& path, Place place) {
    const auto [found, is_new] = env_.try_emplace(path);
    if (!is_new) return found->second;
    const auto text = reader_.outside().read_file(path);
    if (!text) {
      reader_.Report(place, "env_file: " + text.error().Message());
      return found->second;
    }
    auto [pairs, problems] = ParseEnvFile(*text);
    for (const auto& [line, cause] : problems) {
      reader_.Report(place, "env_file: " + Shown(path) + ":" + std::to_string(line) + ": " + cause);
    }
    for (auto& pair : pairs)
      found->second[pair.name] = {std::move(pair.value), Shown(path) + ":" + std::to_string(pair.line)};
    return found->second;
  }

  std::optional<Digest> DigestOfFile(const std::string& path, std::size_t largest, Place place, std::string_view key) {
    const auto [found, is_new] = digests_.try_emplace(path);
    if (!is_new) return found->second;
    if (const auto text = reader_.outside().read_file(path); !text) {
      reader_.Report(place, std::string(key) + ": " + text.error().Message());
    } else if (text->size() <= largest) {
      found->second = Sha256::Of(*text);
    }
    return found->second;
  }

  Reader& reader_;
  std::map<std::string, Variables> env_;                  // path -> what it says
  std::map<std::string, std::optional<Digest>> digests_;  // path -> digest of a small file
};

}  // namespace

EnvFile ParseEnvFile(std::string_view text) {
  EnvFile file;
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = Trimmed(line);
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line = Trimmed(line.substr(7));
    const auto equals = line.find('=');
    const auto name = line.substr(0, equals);
    if (equals == std::string_view::npos || !IsVariableName(name)) {
      file.problems.emplace_back(number, "not NAME=value");
      continue;
    }
    auto value = line.substr(equals + 1);
    if (value.find('\0') != std::string_view::npos || !IsUtf8(value)) {
      file.problems.emplace_back(number, "the value has a NUL in it, or is not UTF-8");
      continue;
    }
    const bool quoted =
        value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    if (quoted) value = value.substr(1, value.size() - 2);
    file.pairs.push_back({std::string(name), std::string(value), number});
  }
  return file;
}

void ReadInputs(Topology& topology, Reader& reader) {
  InputReader inputs(reader);
  for (auto& [name, service] : topology.services) inputs.Read(service);
}

void CheckPolicyFiles(const Value& service, Reader& reader) {
  constexpr std::array<std::string_view, 3> kPolicies{"seccomp_profile", "caps_policy", "landlock_policy"};
  for (const auto policy : kPolicies) {
    const std::string key = std::string(policy) + "_sha256";
    const Value* wanted = service.Find(key);
    const Value* path = service.Find(policy);
    if (wanted == nullptr) continue;
    if (path == nullptr) {
      reader.Report(wanted->place, key + ": there is no " + std::string(policy) + " it could be the digest of");
      continue;
    }
    const auto digest = Digest::Parse(wanted->text);
    if (!digest || path->type != Value::Type::kString) continue;
    const auto text = reader.outside().read_file(reader.HostPath(*path));
    if (text && Sha256::Of(*text) != *digest) {
      reader.Wrong(key, *wanted, "the file " + Shown(path->text) + " has sha256:" + Sha256::Of(*text).Hex());
    }
  }
}

}  // namespace nucleus::spec
