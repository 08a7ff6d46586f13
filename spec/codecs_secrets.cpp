// Files that are given in memory: secrets, and credentials of systemd.
#include <array>

#include "spec/codecs.hpp"
#include "spec/codecs_detail.hpp"

namespace nucleus::spec {

using detail::OnlyKnown;
using detail::ReadItems;
using detail::ReadText;
using detail::WriteItems;
using Type = Value::Type;

namespace {

// "source:/destination": a source may have colons, a destination begins behind the last ":/".
std::optional<SecretMount> ReadSecret(const Value& value, std::string_view key, Reader& reader, bool credential) {
  const std::string_view what = credential ? "name" : "source";
  const std::array<std::string_view, 2> known{what, "destination"};
  const std::string form = "\"" + std::string(what) + ":/destination\"";
  Value source, destination;
  if (value.type == Type::kTable) {
    if (!OnlyKnown(value, key, reader, known)) return std::nullopt;
    for (const auto name : known) {
      if (value.Find(name) != nullptr) continue;
      reader.Report(value.place, std::string(key) + ": " + std::string(name) + " is missing");
      return std::nullopt;
    }
    source = *value.Find(what);
    destination = *value.Find("destination");
  } else {
    const auto text = ReadText(value, key, reader, form);
    if (!text) return std::nullopt;
    const auto at = text->rfind(":/");
    if (at == std::string::npos || at == 0) {
      reader.Wrong(key, value, "write " + form);
      return std::nullopt;
    }
    source = Value::String(text->substr(0, at));
    destination = Value::String(text->substr(at + 1));
    source.place = destination.place = value.place;
  }
  SecretMount secret;
  const auto path = ContainerPath::Read(destination, key, reader);
  auto from = credential ? Text::Read(source, key, reader) : HostPath::Read(source, key, reader);
  if (!path || !from) return std::nullopt;
  if (credential && (from->find('/') != std::string::npos || from->starts_with('.'))) {
    reader.Wrong(key, source, "not the name of a credential");
    return std::nullopt;
  }
  if (*path == "/" || *path == "/run/secrets") {
    reader.Wrong(key, destination, "a secret is a file: give it a name");
    return std::nullopt;
  }
  return SecretMount{*std::move(from), *path};
}

struct OneSecret {
  using T = SecretMount;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    return ReadSecret(value, key, reader, false);
  }
  static Value Write(const T& secret) { return Value::String(secret.source + ":" + secret.destination); }
};
struct OneCredential {
  using T = SecretMount;
  static std::optional<T> Read(const Value& value, std::string_view key, Reader& reader) {
    return ReadSecret(value, key, reader, true);
  }
  static Value Write(const T& secret) { return OneSecret::Write(secret); }
};

}  // namespace

std::optional<std::vector<SecretMount>> Secrets::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<OneSecret>(value, key, reader, "a list such as [\"/etc/app/key:/run/secrets/key\"]");
}
Value Secrets::Write(const std::vector<SecretMount>& value) {
  return WriteItems<OneSecret>(value);
}

std::optional<std::vector<SecretMount>> Credentials::Read(const Value& value, std::string_view key, Reader& reader) {
  return ReadItems<OneCredential>(value, key, reader, "a list such as [\"db-url:/run/secrets/db-url\"]");
}
Value Credentials::Write(const std::vector<SecretMount>& value) {
  return WriteItems<OneCredential>(value);
}

}  // namespace nucleus::spec
