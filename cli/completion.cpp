#include "cli/completion.hpp"

#include <algorithm>
#include <vector>

#include "cli/definitions.hpp"

namespace nucleus::cli {

namespace {

std::vector<const Option*> OptionsOf(const Command& command) {
  std::vector<const Option*> out(command.options.begin(), command.options.end());
  out.insert(out.end(), CommonOptions().begin(), CommonOptions().end());
  return out;
}

std::string Spaced(std::string_view choices) {
  std::string out(choices);
  std::ranges::replace(out, '|', ' ');
  return out;
}

// First words of the command line, groups once.
std::vector<std::string> FirstWords() {
  std::vector<std::string> out;
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    std::string word(command.name.substr(0, command.name.find(' ')));
    if (std::ranges::find(out, word) == out.end()) out.push_back(std::move(word));
  }
  return out;
}

std::string Joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string SubcommandsOf(std::string_view group) {
  std::string out;
  for (const Command& command : Commands()) {
    if (command.name.starts_with(std::string(group) + " ")) {
      out += (out.empty() ? "" : " ") + std::string(command.name.substr(group.size() + 1));
    }
  }
  return out;
}

// A shell command whose output lines are the candidates for an operand; "" : files.
std::string OperandWords(const Command& command, std::string_view dollar_open, std::string_view close) {
  if (command.operands.empty()) return "";
  const auto ask = [&](std::string_view what) {
    return std::string(dollar_open) + "nucleus __complete " + std::string(what) + " 2>/dev/null" + std::string(close);
  };
  switch (command.operands[0].type) {
    case OperandType::kProject:
    case OperandType::kPlanOrProject:
      return ask("projects");
    case OperandType::kService:
      return ask("services");
    case OperandType::kShell:
      return "bash zsh fish";
    case OperandType::kCommand:
      return Joined(FirstWords());
    case OperandType::kPlan:
    case OperandType::kWord:
    case OperandType::kProgram:
      return "";
  }
  return "";
}

// ---- bash ----

std::string BashCase(const Command& command) {
  std::string flags;
  std::string values;
  for (const Option* option : OptionsOf(command)) {
    flags += (flags.empty() ? "" : " ") + ("--" + std::string(option->name));
    if (option->type == ValueType::kNone) continue;
    const std::string pattern =
        "--" + std::string(option->name) + (option->letter != 0 ? std::string("|-") + option->letter : "");
    std::string answer = "COMPREPLY=()";
    if (!option->choices.empty()) answer = "COMPREPLY=($(compgen -W \"" + Spaced(option->choices) + "\" -- \"$cur\"))";
    if (option->type == ValueType::kFile) answer = "COMPREPLY=($(compgen -f -- \"$cur\"))";
    if (option->type == ValueType::kDirectory) answer = "COMPREPLY=($(compgen -d -- \"$cur\"))";
    values += "        " + pattern + ") " + answer + "; return ;;\n";
  }
  const std::string words = OperandWords(command, "$(", ")");
  std::string operands = "COMPREPLY=()";
  if (!words.empty()) operands = "COMPREPLY=($(compgen -W \"" + words + "\" -- \"$cur\"))";
  if (!command.operands.empty() &&
      (command.operands[0].type == OperandType::kPlan || command.operands[0].type == OperandType::kPlanOrProject)) {
    operands = words.empty() ? "COMPREPLY=($(compgen -f -- \"$cur\"))"
                             : "COMPREPLY=($(compgen -f -W \"" + words + "\" -- \"$cur\"))";
  }
  return "    '" + std::string(command.name) + "')\n      case $prev in\n" + values + "      esac\n" +
         "      if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W \"" + flags + "\" -- \"$cur\")); else " + operands +
         "; fi ;;\n";
}

std::string Bash() {
  std::string groups;
  for (const std::string& word : FirstWords()) {
    const std::string subcommands = SubcommandsOf(word);
    if (subcommands.empty()) continue;
    groups += "  if [[ $name == " + word + " ]]; then\n    if ((COMP_CWORD == 2)); then COMPREPLY=($(compgen -W \"" +
              subcommands + "\" -- \"$cur\")); return; fi\n    name=\"$name ${COMP_WORDS[2]}\"\n  fi\n";
  }
  std::string out =
      "# bash completion of nucleus\n_nucleus() {\n  local cur=${COMP_WORDS[COMP_CWORD]} "
      "prev=${COMP_WORDS[COMP_CWORD-1]} "
      "name=${COMP_WORDS[1]}\n  COMPREPLY=()\n  if ((COMP_CWORD == 1)); then COMPREPLY=($(compgen -W \"" +
      Joined(FirstWords()) + "\" -- \"$cur\")); return; fi\n" + groups + "  case $name in\n";
  for (const Command& command : Commands()) {
    if (!command.hidden) out += BashCase(command);
  }
  return out + "  esac\n}\ncomplete -o filenames -F _nucleus nucleus\n";
}

// ---- zsh ----

// In single quotes of an _arguments specification, where brackets and colons have a meaning.
std::string ZshText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else if (c == '[' || c == ']' || c == ':') {
      out += std::string("\\") + c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string ZshAction(const Option& option) {
  if (!option.choices.empty()) return "(" + Spaced(option.choices) + ")";
  if (option.type == ValueType::kFile) return "_files";
  if (option.type == ValueType::kDirectory) return "_files -/";
  return " ";
}

std::string ZshArguments(const Command& command) {
  std::string out = "_arguments -s";
  for (const Option* option : OptionsOf(command)) {
    const std::string rest =
        "[" + ZshText(option->summary) + "]" +
        (option->type == ValueType::kNone ? "" : ":" + ZshText(option->value) + ":" + ZshAction(*option)) + "'";
    const std::string star = option->repeatable ? "*" : "";
    out += " \\\n        '" + star + "--" + std::string(option->name) + rest;
    if (option->letter != 0) out += " \\\n        '" + star + "-" + std::string(1, option->letter) + rest;
  }
  if (!command.operands.empty()) {
    const std::string words = OperandWords(command, "$(", ")");
    out += " \\\n        '1:" + ZshText(command.operands[0].name) + ":" +
           (words.empty()            ? std::string("_files")
            : words.starts_with("$") ? "{compadd ${(f)\"" + words + "\"}}"
                                     : "(" + words + ")") +
           "'";
  }
  return out;
}

std::string Zsh() {
  std::string out = "#compdef nucleus\n# zsh completion of nucleus\n_nucleus() {\n  local -a commands=(\n";
  for (const std::string& word : FirstWords()) {
    const Command* command = FindCommand(word);
    const std::string_view summary = command != nullptr ? command->summary : "the same engine under Compose's verbs";
    out += "    '" + word + ":" + ZshText(summary) + "'\n";
  }
  out += "  )\n  if ((CURRENT == 2)); then _describe command commands; return; fi\n  local name=${words[2]}\n";
  for (const std::string& word : FirstWords()) {
    const std::string subcommands = SubcommandsOf(word);
    if (subcommands.empty()) continue;
    out += "  if [[ $name == " + word + " ]]; then\n    if ((CURRENT == 3)); then compadd " + subcommands +
           "; return; fi\n    name=\"$name ${words[3]}\"\n    shift words; ((CURRENT--))\n  fi\n";
  }
  out += "  shift words; ((CURRENT--))\n  case $name in\n";
  for (const Command& command : Commands()) {
    if (!command.hidden) out += "    '" + std::string(command.name) + "')\n      " + ZshArguments(command) + " ;;\n";
  }
  return out +
         "  esac\n}\nif [[ $funcstack[1] == _nucleus ]]; then _nucleus \"$@\"; else compdef _nucleus nucleus; fi\n";
}

// ---- fish ----

std::string FishText(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\'' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

std::string FishCondition(const Command& command) {
  const std::size_t blank = command.name.find(' ');
  if (blank == std::string_view::npos) return "__fish_seen_subcommand_from " + std::string(command.name);
  return "__fish_seen_subcommand_from " + std::string(command.name.substr(0, blank)) +
         "; and __fish_seen_subcommand_from " + std::string(command.name.substr(blank + 1));
}

std::string Fish() {
  std::string out = "# fish completion of nucleus\ncomplete -c nucleus -f\n";
  for (const std::string& word : FirstWords()) {
    const Command* command = FindCommand(word);
    out += "complete -c nucleus -n __fish_use_subcommand -a " + word + " -d '" +
           FishText(command != nullptr ? command->summary : "the same engine under Compose's verbs") + "'\n";
    if (const std::string subcommands = SubcommandsOf(word); !subcommands.empty()) {
      out += "complete -c nucleus -n '__fish_seen_subcommand_from " + word + "' -a '" + subcommands + "'\n";
    }
  }
  for (const Command& command : Commands()) {
    if (command.hidden) continue;
    const std::string head = "complete -c nucleus -n '" + FishCondition(command) + "'";
    for (const Option* option : OptionsOf(command)) {
      out += head + " -l " + std::string(option->name);
      if (option->letter != 0) out += std::string(" -s ") + option->letter;
      if (option->type != ValueType::kNone) {
        const bool path = option->type == ValueType::kFile || option->type == ValueType::kDirectory;
        out += path ? " -r -F" : " -x";
        if (!option->choices.empty()) out += " -a '" + Spaced(option->choices) + "'";
      }
      out += " -d '" + FishText(option->summary) + "'\n";
    }
    if (const std::string words = OperandWords(command, "(", ")"); !words.empty())
      out += head + " -a '" + words + "'\n";
    if (!command.operands.empty() &&
        (command.operands[0].type == OperandType::kPlan || command.operands[0].type == OperandType::kPlanOrProject)) {
      out += head + " -F\n";
    }
  }
  return out;
}

}  // namespace

std::optional<std::string> CompletionScript(std::string_view shell) {
  if (shell == "bash") return Bash();
  if (shell == "zsh") return Zsh();
  if (shell == "fish") return Fish();
  return std::nullopt;
}

}  // namespace nucleus::cli
