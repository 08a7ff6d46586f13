#include "spec/inputs.hpp"

#include <algorithm>

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

void ReadEnvFiles(Service& service, Reader& reader) {
  if (service.env_files.empty()) return;
  const Place place = PlaceOf(service, "env_file");
  Sha256 contents;
  std::map<std::string, std::string> read;
  for (const auto& file : service.env_files) {
    const auto text = reader.outside().read_file(file);
    if (!text) {
      reader.Report(place, "env_file: " + text.error().Message());
      continue;
    }
    auto pairs = ParseEnvFile(*text);
    if (!pairs) {
      reader.Report(place, "env_file: " + file + ": " + pairs.error().cause);
      continue;
    }
    for (auto& [name, value] : *pairs) read[std::move(name)] = std::move(value);
    contents.AddField(*text);
  }
  service.environment.merge(read);  // what is there already wins
  service.inputs["env_file"] = contents.Finish();
}

// A regular file that is mounted read-only is configuration: small ones are part of what the service is.
void ReadConfigFiles(Service& service, Reader& reader) {
  for (const auto& mount : service.volumes) {
    if (mount.source.empty() || !mount.read_only) continue;
    if (reader.outside().path_kind(mount.source) != Outside::PathKind::kFile) continue;
    const auto text = reader.outside().read_file(mount.source);
    if (!text) {
      reader.Report(PlaceOf(service, "volumes"), "volumes: " + text.error().Message());
    } else if (text->size() <= kLargestConfigFile) {
      service.inputs["volumes:" + mount.destination] = Sha256::Of(*text);
    }
  }
}

void ReadManifest(Service& service, Reader& reader) {
  const std::string path = service.rootfs + "/" + std::string(kRootfsManifest);
  if (service.rootfs.empty() || reader.outside().path_kind(path) != Outside::PathKind::kFile) return;
  if (const auto text = reader.outside().read_file(path)) service.inputs["rootfs"] = Sha256::Of(*text);
}

}  // namespace

Result<std::vector<std::pair<std::string, std::string>>> ParseEnvFile(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (std::size_t number = 1; !text.empty(); ++number) {
    auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    line = Trimmed(line);
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line = Trimmed(line.substr(7));
    const auto equals = line.find('=');
    const auto name = line.substr(0, equals);
    if (equals == std::string_view::npos || !IsVariableName(name)) {
      return Fail(Error::Invalid("", "line " + std::to_string(number) + " is not NAME=value"));
    }
    auto value = line.substr(equals + 1);
    const bool quoted =
        value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    if (quoted) value = value.substr(1, value.size() - 2);
    pairs.emplace_back(name, value);
  }
  return pairs;
}

void ReadInputs(Service& service, Reader& reader) {
  ReadEnvFiles(service, reader);
  ReadConfigFiles(service, reader);
  ReadManifest(service, reader);
}

}  // namespace nucleus::spec
