// JSON of others as a tree of plain values that remember where they were written: nlohmann's lexer, with limits.
//
// A value's place is its first byte. Duplicate keys, too many bytes, too deep nesting and too many values are refused
// while reading, so that neither memory nor recursion is the writer's to choose. RFC 8259. No I/O; values own their
// text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/types.hpp"

namespace nucleus::policy {

struct JsonMember;

struct Json {
  enum class Type : std::uint8_t { kNull, kBool, kUnsigned, kSigned, kFloat, kString, kArray, kObject };
  Type type = Type::kNull;
  bool flag = false;
  std::size_t at = 0;        // byte of the document
  std::uint64_t number = 0;  // kUnsigned
  std::string text;          // kString
  std::vector<Json> items;
  std::vector<JsonMember> members;  // in the order of the document

  [[nodiscard]] const Json* Find(std::string_view name) const;  // first of its name, or nullptr
};

struct JsonMember {
  std::string name;
  std::size_t at = 0;  // of the name
  Json value;
};

std::string_view TypeName(Json::Type type);  // "a string", "a list"

struct JsonLimits {
  std::size_t bytes = std::size_t{1} << 20;
  std::size_t depth = 16;
  std::size_t values = 20'000;
};

struct JsonProblem {
  std::size_t at = 0;
  std::string message;
};

// No value where the text is not JSON or breaks a limit. A duplicate key is a problem beside a value, which has the
// first of them.
struct JsonRead {
  std::optional<Json> value;
  std::vector<JsonProblem> problems;
};
JsonRead ReadJson(std::string_view text, const JsonLimits& limits);

// Lines and columns of a text, both from 1; columns count characters (bytes, far out in lines beyond 4 KiB).
class LineIndex {
 public:
  explicit LineIndex(std::string_view text);  // the text must outlive it
  [[nodiscard]] spec::Place At(std::size_t byte) const;

 private:
  std::string_view text_;
  std::vector<std::size_t> starts_;
};

}  // namespace nucleus::policy
