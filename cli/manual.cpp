#include "cli/manual.hpp"

#include <algorithm>
#include <string_view>
#include <vector>

#include "cli/definitions.hpp"
#include "cli/help.hpp"

namespace nucleus::cli {

namespace {

std::vector<std::string_view> Paragraphs(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find("\n\n"), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 2, text.size()));
  }
  return out;
}

// roff: a backslash, a leading dot or quote and a minus sign have meanings; groff_char(7).
std::string Roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  if (out.starts_with('.') || out.starts_with('\'')) out.insert(0, "\\&");
  return out;
}

std::string Trimmed(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  return text;
}

std::string RoffEntry(std::string_view term, std::string_view text) {
  return ".TP\n.B " + Roff(term) + "\n" + Roff(text) + "\n";
}

std::string RoffOptions(std::span<const Option* const> options) {
  std::string out;
  for (const Option* option : options) out += RoffEntry(Trimmed(OptionSyntax(*option)), OptionText(*option));
  return out;
}

// In a Markdown table cell.
std::string Cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string MarkdownOptions(std::span<const Option* const> options) {
  std::string out = "| option | |\n|---|---|\n";
  for (const Option* option : options) {
    out += "| `" + Cell(Trimmed(OptionSyntax(*option))) + "` | " + Cell(OptionText(*option)) + " |\n";
  }
  return out;
}

constexpr std::string_view kEnvironment[][2] = {
    {"NUCLEUS_STATE_DIR, NUCLEUS_RUNTIME_DIR", "The two base directories, where no option says otherwise."},
    {"NUCLEUS_SUPERVISOR", "The supervisor program; else it is looked for beside nucleus and in ../libexec/nucleus."},
    {"NO_COLOR", "Set to anything: no colour. Without a terminal there is none anyway."},
};

}  // namespace

std::string ManualPage() {
  std::string out = ".TH NUCLEUS 1 \"\" \"nucleus " NUCLEUS_VERSION
                    "\" \"User Commands\"\n.SH NAME\n"
                    "nucleus \\- keep a machine's containers as their owner wrote them down\n.SH SYNOPSIS\n";
  for (const Command& command : Commands()) {
    if (!command.hidden) out += ".B " + Roff(UsageLine(command)) + "\n.br\n";
  }
  out +=
      ".SH DESCRIPTION\n" +
      Roff(
          "One TOML file says what should run; diff says what would change and why; apply changes exactly that, and a "
          "second apply changes nothing.") +
      "\n.SH COMMANDS\n";
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    out += ".SS " + Roff(UsageLine(command)) + "\n" + Roff(command.summary) + ".\n";
    for (const std::string_view paragraph : Paragraphs(command.description)) out += ".PP\n" + Roff(paragraph) + "\n";
    for (const Operand& operand : command.operands) out += RoffEntry(operand.name, operand.summary);
    out += RoffOptions(command.options);
  }
  out += ".SH OPTIONS OF EVERY COMMAND\n" + RoffOptions(CommonOptions());
  out += ".SH EXIT STATUS\n";
  for (const ExitCode& exit : ExitCodes()) out += RoffEntry(std::to_string(exit.code), exit.meaning);
  out += ".SH ENVIRONMENT\n";
  for (const auto& [name, meaning] : kEnvironment) out += RoffEntry(name, meaning);
  return out;
}

std::string CommandsMarkdown() {
  std::string out =
      "# Commands\n\n"
      "Made from the tables the parser uses (`nucleus manual markdown`); a test compares the two.\n\n"
      "Results go to standard output, progress and diagnostics to standard error. There is colour only on a terminal, "
      "and "
      "never with `NO_COLOR`.\n\n| command | |\n|---|---|\n";
  for (const Command& command : Commands()) {
    if (!command.hidden) out += "| `" + Cell(command.name) + "` | " + Cell(command.summary) + " |\n";
  }
  out += "\n## Options of every command\n\n" + MarkdownOptions(CommonOptions());
  out += "\n## Exit status\n\n| code | meaning |\n|---|---|\n";
  for (const ExitCode& exit : ExitCodes())
    out += "| " + std::to_string(exit.code) + " | " + Cell(exit.meaning) + " |\n";
  out += "\n## Environment\n\n| variable | |\n|---|---|\n";
  for (const auto& [name, meaning] : kEnvironment) out += "| `" + std::string(name) + "` | " + Cell(meaning) + " |\n";
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    out += "\n## nucleus " + std::string(command.name) + "\n\n    " + UsageLine(command) + "\n\n" +
           std::string(command.summary) + ".\n";
    for (const std::string_view paragraph : Paragraphs(command.description))
      out += "\n" + std::string(paragraph) + "\n";
    if (!command.operands.empty()) out += "\n";
    for (const Operand& operand : command.operands) {
      out += "- `" + std::string(operand.name) + "`: " + std::string(operand.summary) + "\n";
    }
    if (!command.options.empty()) out += "\n" + MarkdownOptions(command.options);
  }
  return out;
}

}  // namespace nucleus::cli
