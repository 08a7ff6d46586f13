#include "spec/flags.hpp"

#include <algorithm>

#include "spec/inputs.hpp"
#include "spec/keys.hpp"
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

bool IsOfWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

// Keys of one word are words of the language too: only what a message begins with, or gives a value, is a key then.
bool NamesKey(std::string_view word, bool surely) {
  return (surely || word.find('_') != std::string_view::npos) && FindKey(Scope::kService, word) != nullptr;
}

// What follows a key: ` = true` is the option alone, ` = "copy"` a value behind it.
std::string TakeValue(std::string_view& rest) {
  constexpr std::string_view kTrue = " = true", kText = " = \"";
  if (rest.starts_with(kTrue)) rest.remove_prefix(kTrue.size());
  if (!rest.starts_with(kText)) return "";
  rest.remove_prefix(kText.size());
  const auto value = rest.substr(0, rest.find('"'));
  rest.remove_prefix(std::min(value.size() + 1, rest.size()));
  return " " + std::string(value);
}

// What somebody wrote is quoted, and stays.
std::string WithFlags(std::string_view text) {
  std::string out;
  bool quoted = false;
  for (std::string_view rest = text; !rest.empty();) {
    std::size_t size = 0;
    while (size < rest.size() && IsOfWord(rest[size])) ++size;
    const auto word = rest.substr(0, std::max<std::size_t>(size, 1));
    rest.remove_prefix(word.size());
    const bool alone = out.empty() || out.back() == ' ';
    const bool given = rest.starts_with(" = \"") || rest.starts_with(" = true");
    if (!quoted && alone && NamesKey(word, given || (out.empty() && rest.starts_with(':')))) {
      out += FlagOf(word);
      out += TakeValue(rest);
      continue;
    }
    // Not the one of "the host's".
    if (word == "'") quoted = quoted ? !rest.empty() && IsOfWord(rest.front()) : alone;
    out += word;
  }
  return out;
}

}  // namespace

std::string FlagOf(std::string_view key) {
  if (key == "command") return "COMMAND";  // no option: an operand
  std::string flag(key);
  for (const auto& alias : KeyAliases()) {
    if (alias.scope == Scope::kService && alias.key == key) flag = alias.alias;
  }
  std::ranges::replace(flag, '_', '-');
  return "--" + flag;
}

void SayAsFlags(Problem& problem) {
  if (!problem.file.empty() && !problem.file.starts_with("--")) return;
  problem.line = problem.column = 0;
  problem.message = WithFlags(problem.message);
  // "--memory: '512Q': not a size" of the option --memory
  const std::string prefix = problem.file + ": ";
  if (!problem.file.empty() && problem.message.starts_with(prefix)) problem.message.erase(0, prefix.size());
}

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
  for (auto& problem : loaded.problems) SayAsFlags(problem);
  return loaded;
}

}  // namespace nucleus::spec
