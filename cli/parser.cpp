// The only file that includes CLI11. One CLI::App is made, for the command that was named, from its table.

#include <algorithm>
#include <array>
#include <istream>
#include <ostream>
// CLI11 includes <iostream> for defaults that are not used here. That header has eight streams and their locale made
// before main, which would be a tenth of what a short command takes.
#if defined(__GLIBCXX__) && !defined(_GLIBCXX_IOSTREAM)
#define _GLIBCXX_IOSTREAM 1  // NOLINT(bugprone-reserved-identifier)
namespace std {              // NOLINT(cert-dcl58-cpp)
extern istream cin;
extern ostream cout, cerr, clog;
}  // namespace std
#endif
#include <CLI/CLI.hpp>

#include "cli/arguments.hpp"
#include "cli/nearest.hpp"
#include "spec/core/address.hpp"
#include "spec/core/text.hpp"

namespace nucleus::cli {

namespace {

using Words = std::vector<std::string>;

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string DidYouMean(std::string_view misspelt, std::span<const std::string_view> known,
                       std::string_view before = "") {
  const auto nearest = Nearest(misspelt, known);
  if (!nearest) return "";
  return "did you mean '" + std::string(before) + std::string(*nearest) + "'?";
}

// ---- which command ----

struct Named {
  const Command* command = nullptr;
  Words rest;  // options that stood before the command, then what follows it
};

UsageError UnknownCommand(const std::string& word) {
  std::vector<std::string_view> names;
  for (const Command& command : Commands()) {
    if (!command.hidden) names.push_back(command.name.substr(0, command.name.find(' ')));
  }
  std::string hint = DidYouMean(word, names);
  return {"", "unknown command '" + word + "'", hint.empty() ? "see `nucleus help`" : hint};
}

UsageError UnknownSubcommand(const std::string& group, const std::string& word) {
  std::vector<std::string_view> names;
  std::string all;
  for (const Command& command : Commands()) {
    if (!command.name.starts_with(group + " ")) continue;
    names.push_back(command.name.substr(group.size() + 1));
    all += (all.empty() ? "" : ", ") + std::string(names.back());
  }
  if (word.empty()) return {group, "needs one of " + all, ""};
  std::string hint = DidYouMean(word, names, group + " ");
  return {group, "unknown command '" + word + "'", hint.empty() ? "it has " + all : hint};
}

bool IsGroup(const std::string& word) {
  return std::ranges::any_of(Commands(), [&](const Command& c) { return c.name.starts_with(word + " "); });
}

// Whether a word is a common option whose value is the next word.
bool TakesNextWord(const std::string& word) {
  return std::ranges::any_of(CommonOptions(), [&](const Option* option) {
    return option->type != ValueType::kNone && word == "--" + std::string(option->name);
  });
}

std::variant<Named, UsageError> FindNamed(const Words& words) {
  Named named;
  std::size_t i = 0;
  for (; i < words.size() && words[i].starts_with('-'); ++i) {
    if (words[i] == "--version") return Named{FindCommand("version"), {}};
    named.rest.push_back(words[i]);
    if (TakesNextWord(words[i]) && i + 1 < words.size()) named.rest.push_back(words[++i]);
  }
  if (i == words.size()) {
    named.command = FindCommand("help");
    std::erase(named.rest, "--help");
    std::erase(named.rest, "-h");
    return named;
  }
  std::string name = words[i++];
  if (IsGroup(name)) {
    const std::string group = name;
    if (i < words.size() && (words[i] == "--help" || words[i] == "-h")) return Named{FindCommand("help"), {group}};
    if (i >= words.size() || words[i].starts_with('-')) return UnknownSubcommand(group, "");
    name += " " + words[i];
    if (FindCommand(name) == nullptr) return UnknownSubcommand(group, words[i]);
    ++i;
  }
  named.command = FindCommand(name);
  if (named.command == nullptr) return UnknownCommand(name);
  named.rest.insert(named.rest.end(), words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  return named;
}

// ---- its options ----

// How others spell what is asked for.
struct Elsewhere {
  std::string_view word, of, hint;  // of: an option that the command has
};
constexpr std::string_view kOwnInput = "its input is the caller's by itself; -t gives it a terminal";
constexpr std::array kElsewhere{
    Elsewhere{"-i", "detach", kOwnInput},
    Elsewhere{"-it", "detach", kOwnInput},
    Elsewhere{"--interactive", "detach", kOwnInput},
    Elsewhere{"-w", "workdir", "did you mean '--workdir'?"},
};

bool HasOption(const Command& command, std::string_view name) {
  return std::ranges::any_of(command.options, [&](const Option* option) { return option->name == name; });
}

std::string HintOfElsewhere(const Command& command, std::string_view word) {
  for (const auto& spelling : kElsewhere)
    if (word == spelling.word && HasOption(command, spelling.of)) return std::string(spelling.hint);
  return "";
}

// SRC:DEST where a program is to stand: elsewhere -v is a volume.
std::optional<UsageError> MisplacedVolume(const Arguments& arguments, bool dashes_follow) {
  const auto& given = arguments.operands();
  if (given.empty() || !HasOption(arguments.command(), "volume")) return std::nullopt;
  const std::string& word = given.front();
  const auto colon = word.find(":/");
  const bool meant = (given.size() == 1 && dashes_follow) || arguments.Has("verbose");
  if (!meant || colon == std::string::npos || colon == 0) return std::nullopt;
  return UsageError{std::string(arguments.command().name), "'" + Printable(word) + "' is no program",
                    "-v says more; a volume is given by --volume " + Printable(word)};
}

UsageError UnknownOption(const Command& command, const std::string& word) {
  std::string_view bare = word;
  bare = bare.substr(0, bare.find('='));
  const std::string shown(bare);
  while (bare.starts_with('-')) bare.remove_prefix(1);
  std::vector<std::string_view> names;
  for (const Option* option : command.options) names.push_back(option->name);
  for (const Option* option : CommonOptions()) names.push_back(option->name);
  std::string hint = shown.starts_with("--") ? DidYouMean(bare, names, "--") : "";
  if (const auto elsewhere = HintOfElsewhere(command, shown); !elsewhere.empty()) hint = elsewhere;
  if (hint.empty()) hint = "see `nucleus help " + std::string(command.name) + "`";
  return {std::string(command.name), "unknown option '" + shown + "'", hint};
}

std::string ListOf(std::string_view choices) {
  std::string out;
  for (const std::string_view choice : Split(choices, '|')) out += (out.empty() ? "" : ", ") + std::string(choice);
  return out;
}

// What is wrong with a value, or nothing.
std::string Fault(const Option& option, const std::string& value) {
  switch (option.type) {
    case ValueType::kNone:
    case ValueType::kText:
      return "";
    case ValueType::kFile:
    case ValueType::kDirectory:
      return value.empty() ? "is empty" : "";
    case ValueType::kUnsigned: {
      const auto number = ParseUnsigned(value);
      return number && *number <= 1'000'000 ? "" : "is not a number";
    }
    case ValueType::kDuration:
      return ParseDuration(value) ? "" : "is not a duration such as 30s or 5m";
    case ValueType::kChoice:
    case ValueType::kChoices: {
      const auto known = Split(option.choices, '|');
      const auto given = option.type == ValueType::kChoice ? std::vector<std::string_view>{value} : Split(value, ',');
      for (const std::string_view item : given) {
        if (std::ranges::find(known, item) != known.end()) continue;
        const auto nearest = Nearest(item, known);
        return "is not one of " + ListOf(option.choices) +
               (nearest ? "; did you mean '" + std::string(*nearest) + "'?" : "");
      }
      return given.empty() || value.empty() ? "is empty" : "";
    }
    case ValueType::kDigest:
      return ParseDigestPrefix(value) ? "" : "is not a plan's digest: sha256: and twelve digits or more";
    case ValueType::kAddress: {
      for (const std::string_view item : Split(value, ',')) {
        if (!Address::Parse(item)) return "is not an address such as service.web";
      }
      return value.empty() ? "is empty" : "";
    }
  }
  return "";
}

// Without CLI11's own --help, which is made for each and would make a locale first.
class PlainApp : public CLI::App {
 public:
  PlainApp() : CLI::App("", "", nullptr) {}
};

void AddOption(CLI::App& app, const Option& option, Arguments& arguments) {
  const std::string names =
      (option.letter != 0 ? std::string("-") + option.letter + "," : "") + "--" + std::string(option.name);
  if (option.type == ValueType::kNone) {
    app.add_flag_callback(names, [&arguments, &option] { arguments.Add(option.name, ""); });
    return;
  }
  CLI::callback_t take = [&arguments, &option](const CLI::results_t& values) {
    for (const std::string& value : values) arguments.Add(option.name, value);
    return true;
  };
  // One word a time, however often the option stands there; a single one that is repeated is told apart below.
  app.add_option(names, take)
      ->expected(1)
      ->allow_extra_args(false)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

// what: CLI11's words, which begin with the option.
UsageError LacksValue(const Command& command, std::string_view what) {
  const std::string name(command.name);
  const auto given = what.substr(0, what.find(':'));
  for (const auto options : {std::span<const Option* const>(command.options), CommonOptions()}) {
    for (const Option* option : options)
      if (given == "--" + std::string(option->name))
        return {name, "option '" + std::string(given) + "' needs " + std::string(option->value),
                "see `nucleus help " + name + "`"};
  }
  return {name, std::string(what), "see `nucleus help " + name + "`"};
}

// Whether a word may be the option: `--name`, `--name=value`, or its letter, perhaps after others. Only those are told
// to CLI11, which compares each with all that it knows.
bool MayBeGiven(const Option& option, const Words& words) {
  return std::ranges::any_of(words, [&option](std::string_view word) {
    if (!word.starts_with("--")) return option.letter != 0 && word.starts_with('-') && word.contains(option.letter);
    word.remove_prefix(2);
    return word.substr(0, word.find('=')) == option.name;
  });
}

std::variant<Arguments, UsageError> ParseOptions(const Command& command, Words words) {
  Arguments arguments(command);
  // What follows `--` is taken as it stands; that is itself a program's word where it comes after the program.
  const auto dashes = std::ranges::find(words, "--");
  const bool has_dashes = dashes != words.end();
  const Words after(has_dashes ? dashes + 1 : dashes, words.end());
  words.erase(dashes, words.end());

  const std::string name(command.name);
  PlainApp app;
  for (const auto options : {std::span<const Option* const>(command.options), CommonOptions()}) {
    for (const Option* option : options)
      if (MayBeGiven(*option, words)) AddOption(app, *option, arguments);
  }
  app.allow_extras();
  const bool rest = !command.operands.empty() && command.operands.back().type == OperandType::kProgram;
  // What follows the first word that is no option is not ours to read.
  if (rest) app.prefix_command();
  try {
    std::ranges::reverse(words);  // App::parse takes its vector from the back
    app.parse(words);
  } catch (const CLI::ArgumentMismatch& e) {
    return LacksValue(command, e.what());
  } catch (const CLI::ParseError& e) {
    return UsageError{name, e.what(), "see `nucleus help " + name + "`"};
  }
  for (const std::string& word : app.remaining()) {
    // Of a program's words only the first can be an option in the wrong place.
    const bool ours = !rest || arguments.operands().size() < command.operands.size();
    if (ours && word.size() > 1 && word.starts_with('-')) return UnknownOption(command, word);
    arguments.AddOperand(word);
  }
  if (auto error = MisplacedVolume(arguments, has_dashes)) return *std::move(error);
  if (rest && arguments.operands().size() >= command.operands.size() && has_dashes) arguments.AddOperand("--");
  for (const std::string& word : after) arguments.AddOperand(word);
  return arguments;
}

std::optional<UsageError> CheckValues(const Arguments& arguments, std::span<const Option* const> options) {
  const std::string name(arguments.command().name);
  for (const Option* option : options) {
    if (option->type == ValueType::kNone || !arguments.Has(option->name)) continue;
    const auto values = arguments.Values(option->name);
    if (!option->repeatable && values.size() > 1) {
      return UsageError{name, "option '--" + std::string(option->name) + "' is given twice", ""};
    }
    if (values.empty()) return UsageError{name, "option '--" + std::string(option->name) + "': the value is empty", ""};
    for (const std::string& value : values) {
      if (const std::string fault = Fault(*option, value); !fault.empty()) {
        return UsageError{name, "option '--" + std::string(option->name) + "': '" + value + "' " + fault, ""};
      }
    }
  }
  return std::nullopt;
}

std::optional<UsageError> CheckOperands(const Arguments& arguments) {
  const Command& command = arguments.command();
  const std::string name(command.name);
  const auto& given = arguments.operands();
  const bool rest = !command.operands.empty() && command.operands.back().rest;
  if (given.size() > command.operands.size() && !rest) {
    return UsageError{name, "unexpected argument '" + given[command.operands.size()] + "'",
                      "see `nucleus help " + name + "`"};
  }
  for (std::size_t i = given.size(); i < command.operands.size(); ++i) {
    if (command.operands[i].required) {
      return UsageError{name, "needs " + std::string(command.operands[i].name), "see `nucleus help " + name + "`"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ParseDigestPrefix(std::string_view text) {
  constexpr std::string_view kAlgorithm = "sha256:";
  constexpr std::string_view kEllipsis = "…";
  constexpr std::size_t kFewest = 12;
  constexpr std::size_t kMost = 64;
  std::string digits(text);
  std::ranges::transform(digits, digits.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (digits.starts_with(kAlgorithm)) digits.erase(0, kAlgorithm.size());
  if (digits.ends_with(kEllipsis)) digits.resize(digits.size() - kEllipsis.size());
  if (digits.size() < kFewest || digits.size() > kMost) return std::nullopt;
  if (digits.find_first_not_of("0123456789abcdef") != std::string::npos) return std::nullopt;
  return digits;
}

std::variant<Arguments, UsageError> Parse(const std::vector<std::string>& words) {
  auto named = FindNamed(words);
  if (auto* error = std::get_if<UsageError>(&named)) return *error;
  auto& found = std::get<Named>(named);
  auto parsed = ParseOptions(*found.command, std::move(found.rest));
  if (std::holds_alternative<UsageError>(parsed)) return parsed;
  const auto& arguments = std::get<Arguments>(parsed);
  if (arguments.Has("help")) {
    Arguments help(*FindCommand("help"));
    for (const std::string_view word : Split(found.command->name, ' ')) help.AddOperand(std::string(word));
    return help;
  }
  if (auto error = CheckValues(arguments, arguments.command().options)) return *error;
  if (auto error = CheckValues(arguments, CommonOptions())) return *error;
  if (auto error = CheckOperands(arguments)) return *error;
  return parsed;
}

}  // namespace nucleus::cli
