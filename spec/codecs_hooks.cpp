// OCI hooks: a table of lists, one for each moment, as config.md of the OCI runtime specification has it.
#include <array>

#include "spec/codecs.hpp"
#include "spec/codecs_detail.hpp"

namespace nucleus::spec {

using detail::OnlyKnown;
using Type = Value::Type;

namespace {

struct Moment {
  std::string_view name;
  std::vector<Hook> Hooks::* list;
  bool inside;  // the path is one of the container
};
constexpr std::array kMoments = {
    Moment{"createRuntime", &Hooks::create_runtime, false}, Moment{"createContainer", &Hooks::create_container, false},
    Moment{"startContainer", &Hooks::start_container, true}, Moment{"poststart", &Hooks::poststart, false},
    Moment{"poststop", &Hooks::poststop, false}};

bool IsThere(const Value& at, const std::string& path, std::string_view key, Reader& reader) {
  const auto& path_kind = reader.outside().path_kind;
  if (!path_kind || path_kind(path) == Outside::PathKind::kFile) return true;
  reader.Report(at.place, std::string(key) + ": there is no file " + Shown(path));
  return false;
}

bool ReadProgram(const Value& table, bool inside, const std::string& key, Reader& reader, Hook& hook) {
  const Value* path = table.Find("path");
  if (path == nullptr) {
    reader.Report(table.place, key + ": 'path' is missing: the program to run");
    return false;
  }
  const std::string name = key + ".path";
  auto read = inside ? ContainerPath::Read(*path, name, reader) : HostPath::Read(*path, name, reader);
  if (!read || (!inside && !IsThere(*path, *read, name, reader))) return false;
  hook.path = *std::move(read);
  return true;
}

bool ReadEnvironment(const Value& list, const std::string& key, Reader& reader, Hook& hook) {
  auto variables = Environment::Read(list, key, reader);
  if (!variables) return false;
  for (const auto& [name, text] : *variables) hook.env.push_back(name + "=" + text);
  return true;
}

std::optional<Hook> ReadHook(const Value& value, bool inside, const std::string& key, Reader& reader) {
  if (value.type != Type::kTable) {
    reader.WrongType(key, value, "a table such as { path = \"/usr/local/bin/hook\" }");
    return std::nullopt;
  }
  constexpr std::array<std::string_view, 4> kKnown{"path", "args", "env", "timeout"};
  Hook hook;
  bool good = OnlyKnown(value, key, reader, kKnown);
  good = ReadProgram(value, inside, key, reader, hook) && good;
  if (const Value* args = value.Find("args")) {
    auto read = Command::Read(*args, key + ".args", reader);
    good = good && read;
    if (read) hook.args = *std::move(read);
  }
  if (const Value* env = value.Find("env")) good = ReadEnvironment(*env, key + ".env", reader, hook) && good;
  if (const Value* timeout = value.Find("timeout")) {
    const auto read = Time::Read(*timeout, key + ".timeout", reader);
    if (read && read->count() == 0) reader.Wrong(key + ".timeout", *timeout, "must be longer than nothing");
    good = good && read && read->count() > 0;
    if (read) hook.timeout = *read;
  }
  return good ? std::optional(std::move(hook)) : std::nullopt;
}

Value WriteHook(const Hook& hook) {
  Value table = Value::Table();
  table.Set("path", Value::String(hook.path));
  if (!hook.args.empty()) table.Set("args", Command::Write(hook.args));
  if (!hook.env.empty()) table.Set("env", Strings::Write(hook.env));
  if (hook.timeout != Hook().timeout) table.Set("timeout", Time::Write(hook.timeout));
  return table;
}

bool ReadList(const Value& list, const Moment& moment, const std::string& key, Reader& reader, Hooks& hooks) {
  if (list.type != Type::kArray) {
    reader.WrongType(key, list, "a list of tables");
    return false;
  }
  bool good = true;
  for (const auto& item : list.items) {
    auto hook = ReadHook(item, moment.inside, key, reader);
    good = good && hook;
    if (hook) (hooks.*moment.list).push_back(*std::move(hook));
  }
  return good;
}

}  // namespace

std::optional<Hooks> OciHooks::Read(const Value& value, std::string_view key, Reader& reader) {
  if (value.type != Type::kTable) {
    reader.WrongType(key, value, "a table such as { poststart = [{ path = \"/usr/local/bin/hook\" }] }");
    return std::nullopt;
  }
  constexpr auto kNames = [] {
    std::array<std::string_view, kMoments.size()> names{};
    for (std::size_t i = 0; i < names.size(); ++i) names.at(i) = kMoments.at(i).name;
    return names;
  }();
  Hooks hooks;
  bool good = OnlyKnown(value, key, reader, kNames);
  for (const Moment& moment : kMoments) {
    const Value* list = value.Find(moment.name);
    if (list != nullptr)
      good = ReadList(*list, moment, std::string(key) + "." + std::string(moment.name), reader, hooks) && good;
  }
  return good ? std::optional(std::move(hooks)) : std::nullopt;
}

Value OciHooks::Write(const Hooks& value) {
  Value table = Value::Table();
  for (const Moment& moment : kMoments) {
    const auto& list = value.*moment.list;
    if (list.empty()) continue;
    std::vector<Value> items;
    for (const auto& hook : list) items.push_back(WriteHook(hook));
    table.Set(moment.name, Value::Array(std::move(items)));
  }
  return table;
}

}  // namespace nucleus::spec
