// A document as a tree of plain values that remember where they were written. Made from TOML (parse.hpp) or from JSON
// (json.cpp), read by the key table, and written as canonical JSON. At most kMaxDepth levels deep, so that recursion
// over it is safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::spec {

inline constexpr int kMaxDepth = 64;

struct Member;

struct Value {
  enum class Type : std::uint8_t { kString, kInteger, kFloat, kBool, kArray, kTable, kOther };
  Type type = Type::kOther;
  Place place;
  std::string text;     // kString; kOther: what it is, "a date"
  std::string written;  // kString: as written, where variables were expanded; else empty
  std::int64_t integer = 0;
  double number = 0;
  bool flag = false;
  bool refused = false;  // a problem of it was reported already, whatever its key makes of it
  std::vector<Value> items;
  std::vector<Member> members;  // kTable, in the order of the file

  [[nodiscard]] const Value* Find(std::string_view name) const;
  [[nodiscard]] Member* FindMember(std::string_view name);

  static Value String(std::string_view text);
  static Value Integer(std::uint64_t value);
  static Value Bool(bool value);
  static Value Array(std::vector<Value> items);
  static Value Table();
  void Set(std::string_view name, Value value);  // kTable; the name must be new
};

struct Member {
  std::string name;
  Place place;  // of the key
  Value value;
};

// Whether a text is well-formed UTF-8 (no surrogates, nothing beyond U+10FFFF): JSON can hold nothing else.
bool IsUtf8(std::string_view text);

std::string_view TypeName(Value::Type type);  // "a string", "a list"

// Compact, the keys of every object sorted by bytes.
std::string ToCompactJson(const Value& value);
void AppendCompactJson(std::string& out, const Value& value);
// The inverse; kCorrupt where it is not JSON, too deep, or has a number that is neither.
Result<Value> FromCompactJson(std::string_view text);

}  // namespace nucleus::spec
