#include "spec/assemble.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>
#include <unordered_map>

#include "spec/parse.hpp"
#include "spec/table.hpp"

namespace nucleus::spec {

namespace {

using Type = Value::Type;

constexpr std::size_t kMostFiles = 256;  // files that include each other can ask for more than there are
constexpr std::array<std::string_view, 3> kSections{"networks", "volumes", "services"};

Scope ScopeOfSection(std::string_view section) {
  if (section == "networks") return Scope::kNetwork;
  if (section == "volumes") return Scope::kVolume;
  return Scope::kService;
}

// Gives every key of a table its canonical name; a key given under two names is a problem.
void ResolveAliases(Value& table, Scope scope, Reader& reader) {
  if (table.type != Type::kTable) return;
  for (std::size_t i = 0; i < table.members.size(); ++i) {
    auto& member = table.members[i];
    const auto key = CanonicalKey(scope, member.name);
    if (key == member.name) continue;
    if (const Value* other = table.Find(key)) {
      reader.Report(member.place, "'" + member.name + "' is another name of '" + std::string(key) +
                                      "', which is given at " + reader.PlaceText(other->place));
      table.members.erase(table.members.begin() + static_cast<std::ptrdiff_t>(i--));
      continue;
    }
    member.name = key;
  }
}

void ResolveAliases(Value& document, Reader& reader) {
  for (auto& member : document.members) {
    if (member.name == "defaults" || member.name == "container") ResolveAliases(member.value, Scope::kService, reader);
    if (std::ranges::find(kSections, std::string_view(member.name)) == kSections.end()) continue;
    for (auto& resource : member.value.members) ResolveAliases(resource.value, ScopeOfSection(member.name), reader);
  }
}

// The members that a table has now, by name: few are looked through, many are hashed. They must stay where they are.
class MemberIndex {
 public:
  explicit MemberIndex(Value& table) : members_(table.members) {
    constexpr std::size_t kMany = 24;
    if (members_.size() < kMany) return;
    for (auto& member : members_) hashed_.emplace(member.name, &member);
  }

  [[nodiscard]] Member* Find(std::string_view name) const {
    if (hashed_.empty()) {
      const auto found = std::ranges::find(members_, name, &Member::name);
      return found == members_.end() ? nullptr : &*found;
    }
    const auto found = hashed_.find(name);
    return found == hashed_.end() ? nullptr : found->second;
  }

 private:
  std::span<Member> members_;
  std::unordered_map<std::string_view, Member*> hashed_;
};

// Whose group stands with it: "uid:gid".
bool IsPair(const Value* user) {
  if (user == nullptr || user->type != Type::kString) return false;
  const auto colon = user->text.find(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < user->text.size() && colon == user->text.rfind(':');
}

// A group is two keys, `user` with a pair and `group`: what lies below gives none where there is one above.
void LeaveOneGroup(const Value& above, Value& below) {
  if (IsPair(above.Find("user"))) std::erase_if(below.members, [](const Member& one) { return one.name == "group"; });
  const auto user = std::ranges::find(below.members, "user", &Member::name);
  if (above.Find("group") != nullptr && user != below.members.end() && IsPair(&user->value))
    user->value.text.resize(user->value.text.find(':'));
}

// Adds what is not in `above` yet. Tables of tables are merged down to the keys of a resource, and tables of plain
// strings (environment, labels) by entry; any other value is one whole.
constexpr int kDocument = 3;  // levels of a document: sections, resources, keys
constexpr int kResource = 1;
void MergeBelow(Value& above, Value below, int levels) {
  if (levels == kResource) LeaveOneGroup(above, below);
  above.members.reserve(above.members.size() + below.members.size());  // so that the members stay where they are
  const MemberIndex known(above);
  for (auto& member : below.members) {
    Member* found = known.Find(member.name);
    if (found == nullptr) {
      above.members.push_back(std::move(member));
      continue;
    }
    Member& own = *found;
    const bool tables = own.value.type == Type::kTable && member.value.type == Type::kTable;
    const bool by_entry = member.name == "environment" || member.name == "labels";
    if (!tables) continue;
    // [defaults] and [container] hold keys where [services] holds names.
    const bool holds_keys = levels == kDocument && (member.name == "defaults" || member.name == "container");
    const int below_here = holds_keys ? levels - 1 : levels;
    if (levels > 1) {
      MergeBelow(own.value, std::move(member.value), below_here - 1);
    } else if (by_entry) {
      MergeBelow(own.value, std::move(member.value), 0);
    }
  }
}

class Assembler {
 public:
  explicit Assembler(Reader& reader) : reader_(reader) {}

  std::optional<Value> File(const std::string& name, const std::string& path) {
    if (reader_.files().size() >= kMostFiles) {
      Plain("more than " + std::to_string(kMostFiles) + " files");
      return std::nullopt;
    }
    auto text = reader_.outside().read_file(path);
    if (!text) {
      Plain(text.error().Message());
      return std::nullopt;
    }
    return Text(*text, name, path);
  }

  std::optional<Value> Text(std::string_view text, const std::string& name, const std::string& path) {
    const auto index = static_cast<std::uint32_t>(reader_.files().size());
    const std::string directory =
        IsStream(path) ? reader_.outside().working_directory : std::filesystem::path(path).parent_path().string();
    reader_.files().push_back({name, directory});
    auto document = ParseToml(text, index, reader_);
    if (!document) return std::nullopt;
    ResolveAliases(*document, reader_);
    stack_.push_back(path);
    Include(*document);
    stack_.pop_back();
    return document;
  }

  // The absolute path of a file as the user named it.
  std::string Absolute(const std::string& name) const {
    if (IsStream(name)) return name;
    return (std::filesystem::path(reader_.outside().working_directory) / name).lexically_normal().string();
  }

  void Plain(std::string message) { reader_.Report({}, std::move(message)); }

 private:
  void Include(Value& document) {
    const auto found = std::ranges::find(document.members, "include", &Member::name);
    if (found == document.members.end()) return;
    const Value include = std::move(found->value);
    document.members.erase(found);
    std::vector<Value> paths = include.items;
    if (include.type == Type::kString) paths = {include};
    if (include.type != Type::kString && include.type != Type::kArray) {
      reader_.WrongType("include", include, "a list of paths");
    }
    // Of several, a later one lies above an earlier one.
    std::ranges::reverse(paths);
    for (const auto& item : paths) {
      if (item.type != Type::kString) {
        reader_.WrongType("include", item, "a path");
        continue;
      }
      const std::string path = reader_.HostPath(item);
      if (std::ranges::find(stack_, path) != stack_.end()) {
        std::string cycle;
        for (auto at = std::ranges::find(stack_, path); at != stack_.end(); ++at) cycle += *at + " -> ";
        reader_.Wrong("include", item, "files include each other: " + cycle + path);
        continue;
      }
      if (reader_.files().size() >= kMostFiles) {
        reader_.Wrong("include", item, "more than " + std::to_string(kMostFiles) + " files");
        continue;
      }
      const auto text = reader_.outside().read_file(path);
      if (!text) {
        reader_.Wrong("include", item, text.error().Message());
        continue;
      }
      if (auto below = Text(*text, NameOf(item, path), path)) MergeBelow(document, *std::move(below), kDocument);
    }
  }

  // A file is named as its includer's directory is, so that messages can be clicked.
  std::string NameOf(const Value& item, const std::string& path) const {
    if (item.text.starts_with('/')) return path;
    const auto parent = std::filesystem::path(reader_.files()[item.place.file].name).parent_path();
    return (parent / item.text).lexically_normal().string();
  }

  Reader& reader_;
  std::vector<std::string> stack_;  // files being read, outermost first
};

// Puts a document beside another of equal rank.
void MergeBeside(Value& into, Value other, Reader& reader) {
  const auto clash = [&](const std::string& what, Place first, Place second) {
    reader.Report(second, what + " is given here and at " + reader.PlaceText(first));
  };
  for (auto& member : other.members) {
    Member* own = into.FindMember(member.name);
    if (own == nullptr) {
      into.members.push_back(std::move(member));
      continue;
    }
    if (member.name == "name" && own->value.type == Type::kString && member.value.text == own->value.text) continue;
    const bool tables = own->value.type == Type::kTable && member.value.type == Type::kTable;
    const bool section = std::ranges::find(kSections, std::string_view(member.name)) != kSections.end();
    if (!tables || (!section && member.name != "defaults")) {
      clash("'" + Shown(member.name) + "'", own->place, member.place);
      continue;
    }
    std::unordered_map<std::string, Place> known;
    for (const auto& resource : own->value.members) known.emplace(resource.name, resource.place);
    for (auto& resource : member.value.members) {
      const auto found = known.find(resource.name);
      if (found != known.end()) {
        clash(member.name + "." + Shown(resource.name), found->second, resource.place);
      } else {
        own->value.members.push_back(std::move(resource));
      }
    }
  }
}

// Whether a default can mean anything to this service: it cannot where it builds upon what the service does not have.
bool Applies(const std::string& key, const Value& service, const Value& defaults) {
  const bool of_health = key.starts_with("health_") || key == "on_unhealthy";
  if (of_health && key != "health_check") {
    return service.Find("health_check") != nullptr || defaults.Find("health_check") != nullptr;
  }
  if (key == "restart") {
    const Value* type = service.Find("type");
    if (type == nullptr) type = defaults.Find("type");
    return type == nullptr || type->text != "job";
  }
  return true;
}

std::size_t Weight(const Value& value) {
  std::size_t weight = 64 + value.text.size();
  for (const auto& item : value.items) weight += Weight(item);
  for (const auto& member : value.members) weight += member.name.size() + Weight(member.value);
  return weight;
}

void GiveDefaults(Value& document, Reader& reader) {
  const Value* defaults = document.Find("defaults");
  if (defaults == nullptr || defaults->type != Type::kTable) return;
  const Value* services = document.Find("services");
  const std::size_t count = services == nullptr ? 1 : services->members.size();
  constexpr std::size_t kMostBytes = std::size_t{64} << 20;
  if (Weight(*defaults) * count > kMostBytes) {
    reader.Report(defaults->place, "defaults: too large for so many services");
    return;
  }
  const auto give = [&](Value& service) {
    if (service.type != Type::kTable) return;
    Value given = Value::Table();
    for (const auto& member : defaults->members) {
      if (Applies(member.name, service, *defaults)) given.members.push_back(member);
    }
    MergeBelow(service, std::move(given), kResource);
  };
  for (auto& member : document.members) {
    if (member.name == "container") give(member.value);
    if (member.name != "services") continue;
    for (auto& service : member.value.members) give(service.value);
  }
}

// A document without a name is called as its file is.
void GiveName(Value& document, const std::string& path) {
  if (document.Find("name") != nullptr) return;
  const Value* container = document.Find("container");
  if (container != nullptr) {
    if (const Value* name = container->Find("name"); name != nullptr && name->type == Type::kString) {
      document.members.push_back({"name", name->place, *name});
      return;
    }
  }
  const std::string stem = std::filesystem::path(path).stem().string();
  if (!IsStream(path) && IsValidProjectName(stem)) document.members.push_back({"name", {}, Value::String(stem)});
}

}  // namespace

std::optional<Value> Assemble(std::span<const std::string> paths, Reader& reader) {
  Assembler assembler(reader);
  std::vector<std::pair<std::string, std::string>> files;  // as named, absolute
  for (const auto& name : paths) {
    const std::string path = assembler.Absolute(name);
    if (IsStream(name) || reader.outside().path_kind(path) != Outside::PathKind::kDirectory) {
      files.emplace_back(name, path);
      continue;
    }
    auto names = reader.outside().list_directory(path);
    if (!names) {
      assembler.Plain(names.error().Message());
      continue;
    }
    std::ranges::sort(*names);
    std::erase_if(*names, [](const std::string& n) { return !n.ends_with(".toml") || n.starts_with('.'); });
    if (names->empty()) assembler.Plain(name + ": no *.toml in this directory");
    for (const auto& n : *names) {
      files.emplace_back((std::filesystem::path(name) / n).string(), (std::filesystem::path(path) / n).string());
    }
  }
  std::optional<Value> document;
  for (const auto& [name, path] : files) {
    auto other = assembler.File(name, path);
    if (!other) continue;
    if (document) {
      MergeBeside(*document, *std::move(other), reader);
    } else {
      document = std::move(other);
    }
  }
  if (!document) return document;
  GiveName(*document, paths.size() == 1 ? assembler.Absolute(paths[0]) : files.front().second);
  GiveDefaults(*document, reader);
  return document;
}

std::optional<Value> AssembleText(std::string_view text, const std::string& file_name, Reader& reader) {
  Assembler assembler(reader);
  auto document = assembler.Text(text, file_name, assembler.Absolute(file_name));
  if (!document) return document;
  GiveName(*document, assembler.Absolute(file_name));
  GiveDefaults(*document, reader);
  return document;
}

}  // namespace nucleus::spec
