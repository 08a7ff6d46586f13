// What the codecs share.
#pragma once

#include "spec/codecs.hpp"

namespace nucleus::spec::detail {

inline bool IsString(const Value& value) {
  return value.type == Value::Type::kString;
}

inline std::optional<std::string> ReadText(const Value& value, std::string_view key, Reader& reader,
                                           std::string_view expected) {
  if (IsString(value)) return value.text;
  reader.WrongType(key, value, expected);
  return std::nullopt;
}

// Reports members of a table that are not known.
bool OnlyKnown(const Value& table, std::string_view key, Reader& reader, std::span<const std::string_view> known);

// The items, each by its codec. A wrong one is reported and left out, so that what is wrong with the others, and with
// them among each other, is found in the same go: with a problem reported, nothing is made of any of it.
template <class Item>
std::optional<std::vector<typename Item::T>> ReadItems(const Value& value, std::string_view key, Reader& reader,
                                                       std::string_view expected) {
  if (value.type != Value::Type::kArray) {
    reader.WrongType(key, value, expected);
    return std::nullopt;
  }
  std::vector<typename Item::T> items;
  for (const auto& item : value.items) {
    if (auto read = Item::Read(item, key, reader)) items.push_back(*std::move(read));
  }
  return items;
}

template <class Item>
Value WriteItems(const std::vector<typename Item::T>& items) {
  std::vector<Value> values;
  for (const auto& item : items) values.push_back(Item::Write(item));
  return Value::Array(std::move(values));
}

// What is wrong with a host path as Reader::HostPath makes it, or nothing.
std::string WrongHostPath(std::string_view path);
// An absolute path in canonical spelling. Errors have the cause only.
Result<std::string> NormalContainerPath(std::string_view text);
// A number from 0 to 2^31-1 without leading zeros, or a name as passwd(5) has it.
Result<std::string> NormalId(std::string_view text);

}  // namespace nucleus::spec::detail
