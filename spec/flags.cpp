#include "spec/flags.hpp"

#include <algorithm>

#include "spec/inputs.hpp"
#include "spec/read.hpp"
#include "spec/table.hpp"
#include "spec/validate.hpp"

namespace nucleus::spec {

namespace {

using Type = Value::Type;

std::string KeyOf(std::string_view flag) {
  std::string key(flag);
  std::ranges::replace(key, '-', '_');
  return std::string(CanonicalKey(Scope::kService, key));
}

bool IsNumber(std::string_view text) {
  constexpr std::size_t kMostDigits = 18;
  return !text.empty() && text.size() <= kMostDigits && text.find_first_not_of("0123456789") == std::string_view::npos;
}

Value ValueOf(const GivenFlag& flag, std::string_view key, Place place) {
  const auto text = [place](const std::string& word) {
    Value value = Value::String(word);
    value.place = place;
    return value;
  };
  Value value;
  if (flag.list) {
    std::vector<Value> items;
    for (const auto& word : flag.values) items.push_back(text(word));
    value = Value::Array(std::move(items));
  } else if (flag.values.empty()) {
    value = Value::Bool(true);
  } else {
    value = text(flag.values.back());
    // A bare number of seconds, which a file would not put into quotes.
    const KeyInfo* info = FindKey(Scope::kService, key);
    if (info != nullptr && info->type == "duration" && IsNumber(value.text)) {
      value = Value::Integer(std::stoull(value.text));
    }
  }
  value.place = place;
  return value;
}

// "memory: '512Q': not a size" of the option --memory -> "'512Q': not a size"
void NameTheFlag(Problem& problem) {
  if (problem.file.empty()) return;
  problem.line = problem.column = 0;
  const std::string prefix = KeyOf(std::string_view(problem.file).substr(2)) + ": ";
  if (problem.message.starts_with(prefix)) problem.message.erase(0, prefix.size());
}

}  // namespace

Loaded LoadFlags(const std::string& project, const std::string& name, std::span<const GivenFlag> flags,
                 const std::vector<std::string>& command, const Outside& outside) {
  Reader reader(outside);
  reader.set_for_flags();
  Value table = Value::Table();
  for (const auto& flag : flags) {
    const Place place{static_cast<std::uint32_t>(reader.files().size()), 1, 1};
    reader.files().push_back({"--" + flag.name, outside.working_directory});
    const std::string key = KeyOf(flag.name);
    if (table.FindMember(key) != nullptr) {
      reader.Report(place, "is given twice, under two names");
      continue;
    }
    table.members.push_back({key, place, ValueOf(flag, key, place)});
  }
  std::vector<Value> words;
  for (const auto& word : command) words.push_back(Value::String(word));
  table.members.push_back({"command", {}, Value::Array(std::move(words))});
  if (table.Find("service_mode") == nullptr) table.Set("service_mode", Value::String("agent"));
  if (table.Find("restart") == nullptr) table.Set("restart", Value::String("no"));

  Loaded loaded;
  Topology topology = ReadSingle(table, project, name, reader);
  ReadInputs(topology, reader);
  Validate(topology, reader);
  if (!reader.failed()) loaded.topology = std::move(topology);
  loaded.problems = reader.TakeProblems();
  for (auto& problem : loaded.problems) NameTheFlag(problem);
  return loaded;
}

}  // namespace nucleus::spec
