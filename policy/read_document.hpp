// What the readers of policies share: how a document's problems find their place and their words.
//
// JsonDocument: a JSON text with the name of its file; problems carry file:line:column and the JSON path of what is
// wrong. TomlDocument(): a TOML policy by the parser of the desired-state file, but with no variables put in, since a
// pinned digest would not cover them. Pure. Not to be shared between threads.
#pragma once

#include <initializer_list>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <vector>

#include "policy/json.hpp"
#include "spec/reader.hpp"

namespace nucleus::policy {

// The world of a policy: it has no variables, no files, nothing.
const spec::Outside& NoOutside();

class JsonDocument {
 public:
  JsonDocument(std::string_view text, std::string_view file);  // the text must outlive it

  std::optional<Json> Parse(const JsonLimits& limits);
  [[nodiscard]] bool failed() const { return reader_.failed(); }
  std::vector<spec::Problem> TakeProblems() { return reader_.TakeProblems(); }
  [[nodiscard]] spec::Place At(const Json& value) const { return lines_.At(value.at); }

  void Wrong(const Json& value, std::string_view path, std::string_view cause);
  void Warn(const Json& value, std::string_view path, std::string_view cause);
  // Reports where the value is of another type.
  bool Is(const Json& value, Json::Type type, std::string_view path);
  // A whole number up to `most`.
  std::optional<std::uint64_t> Number(const Json& value, std::string_view path, std::uint64_t most);
  // Reports every key of an object that is not known.
  void Keys(const Json& object, std::string_view path, std::initializer_list<std::string_view> known);
  template <std::ranges::input_range Names>
  void Unknown(const Json& value, std::string_view path, std::string_view what, std::string_view name,
               const Names& known) {
    if (Enough()) return;
    Report(value.at, path,
           "unknown " + std::string(what) + " '" + spec::Shown(name) + "'" + reader_.Suggestion(name, known), false);
  }

 private:
  // After so many nobody reads on, and the words would cost more than the reading.
  [[nodiscard]] bool Enough() const { return reader_.errors() >= 1000; }
  void Report(std::size_t at, std::string_view path, std::string_view message, bool warning);

  std::string_view text_;
  LineIndex lines_;
  spec::Reader reader_;
};

// The document's table; none where it is not TOML or larger than 256 KiB. Strings that variables were to be put into
// are refused.
std::optional<spec::Value> ReadTomlPolicy(std::string_view text, std::string_view file, spec::Reader& reader);

}  // namespace nucleus::policy
