// The contents that keys point at: env files, config files mounted read-only, the manifest of a rootfs.
#include <algorithm>
#include <cstdint>

#include "spec/read.hpp"

namespace nucleus::spec {

namespace {

using Variables = std::map<std::string, std::string>;

constexpr std::size_t kLargestConfig = 1 << 20;

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// NAME=value lines; '#' begins a comment line, "export" is passed over, one pair of quotes around a value is taken off.
std::optional<Variables> ParseEnvFile(std::string_view text, const std::string& path, Place place, Reader& reader) {
  Variables variables;
  bool good = true;
  std::size_t line_number = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    auto line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++line_number;
    if (line.empty() || line.front() == '#') continue;
    if (line.starts_with("export ")) line = Trimmed(line.substr(7));
    const auto equals = line.find('=');
    const auto name = Trimmed(line.substr(0, equals));
    if (equals == std::string_view::npos || name.empty() || name.find_first_of(" \t") != std::string_view::npos ||
        line.find('\0') != std::string_view::npos) {
      reader.Report(place,
                    "env_file: " + path + ":" + std::to_string(line_number) + ": not a line of the form NAME=value");
      good = false;
      continue;
    }
    auto value = Trimmed(line.substr(equals + 1));
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front()) {
      value = value.substr(1, value.size() - 2);
    }
    variables[std::string(name)] = value;
  }
  return good ? std::optional(std::move(variables)) : std::nullopt;
}

Place PlaceOf(const Service& service, std::string_view key) {
  const auto found = service.places.find(key);
  return found == service.places.end() ? Place() : found->second;
}

void ReadEnvFiles(Service& service, Reader& reader, Contents& seen) {
  if (service.env_files.empty()) return;
  const Place place = PlaceOf(service, "env_file");
  Variables merged;
  for (const auto& path : service.env_files) {
    auto found = seen.env.find(path);
    if (found == seen.env.end()) {
      std::optional<Variables> variables;
      const auto kind = reader.outside().path_kind(path);
      if (kind != Outside::PathKind::kFile) {
        reader.Report(place,
                      "env_file: " + Shown(path) +
                          (kind == Outside::PathKind::kAbsent ? ": there is no such file" : ": not a regular file"));
      } else if (const auto text = reader.outside().read_file(path); !text) {
        reader.Report(place, "env_file: " + text.error().Message());
      } else {
        variables = ParseEnvFile(*text, Shown(path), place, reader);
      }
      found = seen.env.emplace(path, std::move(variables)).first;
    }
    if (!found->second) continue;
    for (const auto& [name, value] : *found->second) merged[name] = value;
  }
  // What counts is what reaches the service: comments, order and overridden variables do not.
  Sha256 hash;
  for (const auto& [name, value] : merged) {
    if (service.environment.emplace(name, value).second) hash.AddField(name).AddField(value);
  }
  service.inputs["env_file"] = hash.Finish();
}

std::optional<Digest> DigestOfFile(const std::string& path, std::size_t largest, Place place, std::string_view key,
                                   Reader& reader, Contents& seen) {
  const auto found = seen.digests.find(path);
  if (found != seen.digests.end()) return found->second;
  std::optional<Digest> digest;
  if (const auto text = reader.outside().read_file(path); !text) {
    reader.Report(place, std::string(key) + ": " + text.error().Message());
  } else if (text->size() <= largest) {
    digest = Sha256::Of(*text);
  }
  seen.digests.emplace(path, digest);
  return digest;
}

}  // namespace

void ReadContents(Service& service, Reader& reader, Contents& seen) {
  ReadEnvFiles(service, reader, seen);
  for (const auto& mount : service.volumes) {
    if (mount.source.empty() || !mount.read_only) continue;
    if (reader.outside().path_kind(mount.source) != Outside::PathKind::kFile) continue;
    const auto size = reader.outside().file_size ? reader.outside().file_size(mount.source) : 0;
    if (size > kLargestConfig) continue;
    const auto digest =
        DigestOfFile(mount.source, kLargestConfig, PlaceOf(service, "volumes"), "volumes", reader, seen);
    if (digest) service.inputs["volumes:" + mount.destination] = *digest;
  }
  const std::string manifest = service.rootfs + "/.nucleus-rootfs-sha256";
  if (!service.rootfs.empty() && reader.outside().path_kind(manifest) == Outside::PathKind::kFile) {
    const auto digest = DigestOfFile(manifest, SIZE_MAX, PlaceOf(service, "rootfs"), "rootfs", reader, seen);
    if (digest) service.inputs["rootfs"] = *digest;
  }
}

}  // namespace nucleus::spec
