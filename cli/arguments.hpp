// The command line after parsing: which command, with which values. Values were checked against their type.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "cli/definitions.hpp"
#include "spec/core/units.hpp"

namespace nucleus::cli {

class Arguments {
 public:
  explicit Arguments(const Command& command) : command_(&command) {}

  [[nodiscard]] const Command& command() const { return *command_; }
  [[nodiscard]] bool Has(std::string_view option) const { return values_.contains(option); }
  // The last value given, else the option's fallback, else "".
  [[nodiscard]] std::string Value(std::string_view option) const;
  // All values given; lists with commas (kChoices, kAddress) taken apart.
  [[nodiscard]] std::vector<std::string> Values(std::string_view option) const;
  [[nodiscard]] std::uint64_t Unsigned(std::string_view option) const;
  [[nodiscard]] Duration Time(std::string_view option) const;

  [[nodiscard]] const std::vector<std::string>& operands() const { return operands_; }
  [[nodiscard]] std::string Operand(std::size_t index) const {
    return index < operands_.size() ? operands_[index] : std::string();
  }

  void Add(std::string_view option, std::string value) { values_[option].push_back(std::move(value)); }
  void AddOperand(std::string value) { operands_.push_back(std::move(value)); }

 private:
  const Command* command_;
  std::map<std::string_view, std::vector<std::string>> values_;  // keys live in the tables
  std::vector<std::string> operands_;
};

// The variables of --env as NAME=VALUE. A NAME alone has the value that it has in our environment, and where it has
// none there is nothing to give.
std::vector<std::string> GivenVariables(const Arguments& arguments);

// The digits of "sha256:7c1e…" as a plan is printed: twelve of them or more, with or without the marks at either end,
// in lower case. Nothing for anything else.
std::optional<std::string> ParseDigestPrefix(std::string_view text);

// A wrong command line: one sentence, and a hint where there is one ("did you mean 'apply'?").
struct UsageError {
  std::string command;  // as far as it was recognised
  std::string message;
  std::string hint;
};

// words: argv without argv[0]. Options that all commands share may stand before the command. `--help` gives the help
// command, `--version` the version command, nothing at all the help command.
std::variant<Arguments, UsageError> Parse(const std::vector<std::string>& words);

}  // namespace nucleus::cli
