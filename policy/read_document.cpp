#include "policy/read_document.hpp"

#include <algorithm>

#include "spec/core/text.hpp"
#include "spec/parse.hpp"

namespace nucleus::policy {

namespace {

void RefuseVariables(const spec::Value& value, spec::Reader& reader) {
  if (!value.written.empty()) {
    reader.Report(value.place, "'" + spec::Shown(value.written) +
                                   "': variables are not put into policies; write $$ for a dollar sign");
  }
  for (const auto& item : value.items) RefuseVariables(item, reader);
  for (const auto& member : value.members) RefuseVariables(member.value, reader);
}

}  // namespace

const spec::Outside& NoOutside() {
  static const spec::Outside outside = [] {
    spec::Outside none;
    none.read_file = [](const std::string& path) -> Result<std::string> { return FailSys("read", path, ENOENT); };
    none.variable = [](const std::string&) -> std::optional<std::string> { return std::nullopt; };
    none.path_kind = [](const std::string&) { return spec::Outside::PathKind::kAbsent; };
    none.host_routes = [] { return std::vector<spec::Ipv4Net>{}; };
    none.list_directory = [](const std::string& path) -> Result<std::vector<std::string>> {
      return FailSys("list", path, ENOENT);
    };
    none.file_size = [](const std::string&) { return std::uint64_t{0}; };
    return none;
  }();
  return outside;
}

JsonDocument::JsonDocument(std::string_view text, std::string_view file)
    : text_(text), lines_(text), reader_(NoOutside()) {
  reader_.files().push_back({std::string(file), ""});
}

std::optional<Json> JsonDocument::Parse(const JsonLimits& limits) {
  JsonRead read = ReadJson(text_, limits);
  for (const auto& problem : read.problems) Report(problem.at, "", problem.message, false);
  return std::move(read.value);
}

void JsonDocument::Report(std::size_t at, std::string_view path, std::string_view message, bool warning) {
  reader_.Report(lines_.At(at), (path.empty() ? "" : std::string(path) + ": ") + Printable(message), warning);
}

void JsonDocument::Wrong(const Json& value, std::string_view path, std::string_view cause) {
  Report(value.at, path, cause, false);
}

void JsonDocument::Warn(const Json& value, std::string_view path, std::string_view cause) {
  Report(value.at, path, cause, true);
}

bool JsonDocument::Is(const Json& value, Json::Type type, std::string_view path) {
  if (value.type == type) return true;
  Wrong(value, path, "expected " + std::string(TypeName(type)) + ", found " + std::string(TypeName(value.type)));
  return false;
}

std::optional<std::uint64_t> JsonDocument::Number(const Json& value, std::string_view path, std::uint64_t most) {
  if (!Is(value, Json::Type::kUnsigned, path)) return std::nullopt;
  if (value.number <= most) return value.number;
  Wrong(value, path, std::to_string(value.number) + " is more than " + std::to_string(most));
  return std::nullopt;
}

void JsonDocument::Keys(const Json& object, std::string_view path, std::initializer_list<std::string_view> known) {
  for (const auto& member : object.members) {
    if (Enough()) return;
    if (std::ranges::find(known, std::string_view(member.name)) != known.end()) continue;
    Report(member.at, path.empty() ? "/" : path,
           "unknown key '" + spec::Shown(member.name) + "'" + reader_.Suggestion(member.name, known), false);
  }
}

std::optional<spec::Value> ReadTomlPolicy(std::string_view text, std::string_view file, spec::Reader& reader) {
  reader.files().push_back({std::string(file), ""});
  constexpr std::size_t kMostBytes = std::size_t{256} << 10;
  if (text.size() > kMostBytes) {
    reader.Report({0, 1, 1}, "larger than 256K");
    return std::nullopt;
  }
  auto value = spec::ParseToml(text, 0, reader);
  if (value) RefuseVariables(*value, reader);
  return value;
}

}  // namespace nucleus::policy
