#include "spec/core/address.hpp"

#include <array>

namespace nucleus {

namespace {

constexpr std::array<Kind, 5> kKinds{Kind::kTopology, Kind::kNetwork, Kind::kVolume, Kind::kService, Kind::kContainer};
constexpr std::array<Part, 7> kParts{Part::kBridge, Part::kFirewall, Part::kDirectory, Part::kCgroup,
                                     Part::kNetns,  Part::kNames,    Part::kProcess};

constexpr bool IsLowerOrDigit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
constexpr bool IsUpper(char c) {
  return c >= 'A' && c <= 'Z';
}

}  // namespace

std::string_view KindName(Kind kind) {
  switch (kind) {
    case Kind::kTopology:
      return "topology";
    case Kind::kNetwork:
      return "network";
    case Kind::kVolume:
      return "volume";
    case Kind::kService:
      return "service";
    case Kind::kContainer:
      return "container";
  }
  return "?";
}

std::string_view PartName(Part part) {
  switch (part) {
    case Part::kBridge:
      return "bridge";
    case Part::kFirewall:
      return "firewall";
    case Part::kDirectory:
      return "directory";
    case Part::kCgroup:
      return "cgroup";
    case Part::kNetns:
      return "netns";
    case Part::kNames:
      return "names";
    case Part::kProcess:
      return "process";
  }
  return "?";
}

std::string Address::Text() const {
  std::string text(KindName(kind));
  if (!name.empty()) {
    text += '.';
    text += name;
  }
  return text;
}

Result<Address> Address::Parse(std::string_view text) {
  const auto dot = text.find('.');
  const std::string_view kind_name = text.substr(0, dot);
  for (const Kind kind : kKinds) {
    if (kind_name != KindName(kind)) continue;
    // The topology is the only one of its kind: its name may be left out.
    if (dot == std::string_view::npos) {
      if (kind == Kind::kTopology) return Address{kind, ""};
      break;
    }
    const std::string_view name = text.substr(dot + 1);
    if (!IsValidName(name)) return Fail(Error::Invalid(text, "the name after the dot is not a valid one"));
    return Address{kind, std::string(name)};
  }
  return Fail(Error::Invalid(text, "not an address; write for example service.web, network.internal or volume.data"));
}

std::string PartKey::Text() const {
  std::string text = address.Text();
  text += '/';
  text += PartName(part);
  return text;
}

Result<PartKey> PartKey::Parse(std::string_view project, std::string_view text) {
  const auto slash = text.rfind('/');
  if (slash == std::string_view::npos)
    return Fail(Error::Invalid(text, "not a part; write for example service.web/netns"));
  PartKey key{std::string(project), TRY(Address::Parse(text.substr(0, slash))), Part::kProcess};
  for (const Part part : kParts) {
    if (text.substr(slash + 1) != PartName(part)) continue;
    key.part = part;
    return key;
  }
  return Fail(Error::Invalid(text, "there is no part of that name"));
}

bool IsValidName(std::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  if (!IsLowerOrDigit(name.front()) && !IsUpper(name.front())) return false;
  for (const char c : name) {
    if (!IsLowerOrDigit(c) && !IsUpper(c) && c != '_' && c != '.' && c != '-') return false;
  }
  return true;
}

bool IsValidProjectName(std::string_view name) {
  if (!IsValidName(name)) return false;
  for (const char c : name) {
    if (IsUpper(c)) return false;
  }
  return true;
}

}  // namespace nucleus
