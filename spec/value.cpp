#include "spec/value.hpp"

#include <algorithm>
#include <charconv>

#include "spec/core/text.hpp"

namespace nucleus::spec {

void AppendCompactJson(std::string& out, const Value& value) {
  switch (value.type) {
    case Value::Type::kString:
    case Value::Type::kOther:
      AppendJsonString(out, value.text);
      return;
    case Value::Type::kInteger:
      out += std::to_string(value.integer);
      return;
    case Value::Type::kFloat: {
      char buffer[32];
      const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value.number);
      if (code == std::errc()) out.append(buffer, end);
      return;
    }
    case Value::Type::kBool:
      out += value.flag ? "true" : "false";
      return;
    case Value::Type::kArray: {
      out += '[';
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += ',';
        AppendCompactJson(out, value.items[i]);
      }
      out += ']';
      return;
    }
    case Value::Type::kTable: {
      std::vector<const Member*> sorted;
      for (const auto& member : value.members) sorted.push_back(&member);
      std::ranges::sort(sorted, {}, [](const Member* m) -> const std::string& { return m->name; });
      out += '{';
      for (std::size_t i = 0; i < sorted.size(); ++i) {
        if (i > 0) out += ',';
        AppendJsonString(out, sorted[i]->name);
        out += ':';
        AppendCompactJson(out, sorted[i]->value);
      }
      out += '}';
      return;
    }
  }
}

const Value* Value::Find(std::string_view name) const {
  for (const auto& member : members) {
    if (member.name == name) return &member.value;
  }
  return nullptr;
}

Member* Value::FindMember(std::string_view name) {
  for (auto& member : members) {
    if (member.name == name) return &member;
  }
  return nullptr;
}

Value Value::String(std::string_view text) {
  Value value;
  value.type = Type::kString;
  value.text = text;
  return value;
}

Value Value::Integer(std::uint64_t number) {
  // Beyond what a signed integer holds (and JSON readers keep), it is written as a string.
  if (number > INT64_MAX) return String(std::to_string(number));
  Value value;
  value.type = Type::kInteger;
  value.integer = static_cast<std::int64_t>(number);
  return value;
}

Value Value::Bool(bool flag) {
  Value value;
  value.type = Type::kBool;
  value.flag = flag;
  return value;
}

Value Value::Array(std::vector<Value> items) {
  Value value;
  value.type = Type::kArray;
  value.items = std::move(items);
  return value;
}

Value Value::Table() {
  Value value;
  value.type = Type::kTable;
  return value;
}

void Value::Set(std::string_view name, Value value) {
  members.push_back({std::string(name), {}, std::move(value)});
}

bool IsUtf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

std::string_view TypeName(Value::Type type) {
  switch (type) {
    case Value::Type::kString:
      return "a string";
    case Value::Type::kInteger:
      return "an integer";
    case Value::Type::kFloat:
      return "a number";
    case Value::Type::kBool:
      return "true or false";
    case Value::Type::kArray:
      return "a list";
    case Value::Type::kTable:
      return "a table";
    case Value::Type::kOther:
      return "a date or time";
  }
  return "?";
}

std::string ToCompactJson(const Value& value) {
  std::string out;
  AppendCompactJson(out, value);
  return out;
}

}  // namespace nucleus::spec
