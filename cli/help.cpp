#include "cli/help.hpp"

#include <algorithm>
#include <vector>

namespace nucleus::cli {

namespace {

constexpr std::size_t kTextColumn = 30;

std::string Replaced(std::string_view text, char from, std::string_view to) {
  std::string out;
  for (const char c : text) {
    if (c == from) {
      out += to;
    } else {
      out += c;
    }
  }
  return out;
}

// A term, and what it means from kTextColumn on.
std::string Entry(std::string_view term, std::string_view text) {
  std::string out = "  " + std::string(term);
  std::string wrapped = Wrapped(text, kTextColumn);
  if (out.size() + 2 <= kTextColumn) {
    wrapped.erase(0, out.size());
  } else {
    out += "\n";
  }
  return out + wrapped;
}

std::string Options(std::span<const Option* const> options) {
  std::string out;
  for (const Option* option : options) out += Entry(OptionSyntax(*option), OptionText(*option));
  return out;
}

}  // namespace

std::string Wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::string line(indent, ' ');
  std::size_t used = 0;  // words in the line
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (word.empty()) continue;
    if (used != 0 && line.size() + 1 + word.size() > width) {
      out += line + "\n";
      line.assign(indent, ' ');
      used = 0;
    }
    if (used++ != 0) line += ' ';
    line += word;
  }
  if (used != 0) out += line + "\n";
  return out;
}

std::string UsageLine(const Command& command) {
  std::string out = "nucleus " + std::string(command.name) + " [options]";
  for (const Operand& operand : command.operands) {
    if (operand.rest) {
      const std::string rest = (operand.type == OperandType::kProgram ? "-- " : "") + std::string(operand.name) + "...";
      out += operand.required ? " " + rest : " [" + rest + "]";
      continue;
    }
    out += operand.required ? " " + std::string(operand.name) : " [" + std::string(operand.name) + "]";
  }
  return out;
}

std::string OptionSyntax(const Option& option) {
  std::string out = option.letter != 0 ? std::string("-") + option.letter + ", " : "    ";
  out += "--" + std::string(option.name);
  if (option.type != ValueType::kNone) out += " " + std::string(option.value);
  return out;
}

std::string OptionText(const Option& option) {
  std::string out(option.summary);
  if (!option.choices.empty())
    out += " " + std::string(option.value) + " is " + Replaced(option.choices, '|', ", ") + ".";
  if (!option.fallback.empty()) out += " Default: " + std::string(option.fallback) + ".";
  return out;
}

std::string HelpOverview() {
  std::string out =
      "nucleus keeps a Linux machine's containers as their owner wrote them down.\n\n"
      "Usage: nucleus COMMAND [options] …\n\nCommands:\n";
  for (const Command& command : Commands()) {
    if (!command.hidden) out += Entry(command.name, command.summary);
  }
  out += "\nOptions of every command:\n" + Options(CommonOptions());
  return out +
         "\nFirst steps: `nucleus validate -f shop.toml`, `nucleus diff -f shop.toml`, `nucleus apply -f shop.toml`.\n";
}

std::string HelpOf(const Command& command) {
  std::string out = std::string(command.summary) + ".\n\nUsage: " + UsageLine(command) + "\n";
  std::string_view rest = command.description;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find("\n\n"), rest.size());
    out += "\n" + Wrapped(rest.substr(0, end), 0);
    rest.remove_prefix(std::min(end + 2, rest.size()));
  }
  if (!command.operands.empty()) {
    out += "\nOperands:\n";
    for (const Operand& operand : command.operands) out += Entry(operand.name, operand.summary);
  }
  if (!command.options.empty()) out += "\nOptions:\n" + Options(command.options);
  return out + "\nOptions of every command:\n" + Options(CommonOptions());
}

std::string HelpOfGroup(std::string_view group) {
  const std::string prefix = std::string(group) + " ";
  std::string out;
  for (const Command& command : Commands()) {
    if (command.name.starts_with(prefix)) out += Entry(command.name, command.summary);
  }
  return out.empty() ? out : "Usage: nucleus " + prefix + "COMMAND [options] …\n\nCommands:\n" + out;
}

}  // namespace nucleus::cli
