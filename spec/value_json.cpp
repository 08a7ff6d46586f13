// JSON to Value, by the SAX face of nlohmann/json: nothing is built twice, and nesting is bounded while reading.
#include <nlohmann/json.hpp>
#include <set>

#include "spec/value.hpp"

namespace nucleus::spec {

namespace {

class Builder : public nlohmann::json_sax<nlohmann::json> {
 public:
  bool null() override { return Refuse("null has no meaning here"); }
  bool boolean(bool flag) override { return Put(Value::Bool(flag)); }
  bool number_integer(std::int64_t number) override {
    Value value;
    value.type = Value::Type::kInteger;
    value.integer = number;
    return Put(std::move(value));
  }
  bool number_unsigned(std::uint64_t number) override {
    if (number > INT64_MAX) return Refuse("a number is too large");
    return number_integer(static_cast<std::int64_t>(number));
  }
  bool number_float(double number, const std::string& /*text*/) override {
    Value value;
    value.type = Value::Type::kFloat;
    value.number = number;
    return Put(std::move(value));
  }
  bool string(std::string& text) override {
    if (text.find('\0') != std::string::npos) return Refuse("a string has a NUL in it");
    return Put(Value::String(text));
  }
  bool binary(binary_t& /*data*/) override { return Refuse("binary data"); }
  bool start_object(std::size_t /*size*/) override { return Open(Value::Type::kTable); }
  bool start_array(std::size_t /*size*/) override { return Open(Value::Type::kArray); }
  bool end_object() override { return Close(); }
  bool end_array() override { return Close(); }
  bool key(std::string& name) override {
    if (!open_.back().names.insert(name).second) return Refuse("key '" + name + "' is there twice");
    open_.back().name = name;
    return true;
  }
  bool parse_error(std::size_t position, const std::string& /*token*/,
                   const nlohmann::detail::exception& /*error*/) override {
    return Refuse("not JSON at byte " + std::to_string(position));
  }

  Value root;
  std::string problem;

 private:
  struct Level {
    Value value;
    std::string name;  // of the member that comes next
    std::set<std::string> names;
  };

  bool Refuse(std::string why) {
    problem = std::move(why);
    return false;
  }
  bool Open(Value::Type type) {
    if (open_.size() >= static_cast<std::size_t>(kMaxDepth)) return Refuse("nested too deeply");
    open_.emplace_back();
    open_.back().value.type = type;
    return true;
  }
  bool Close() {
    Value done = std::move(open_.back().value);
    open_.pop_back();
    return Put(std::move(done));
  }
  bool Put(Value value) {
    if (open_.empty()) {
      root = std::move(value);
      return true;
    }
    auto& level = open_.back();
    if (level.value.type == Value::Type::kTable) {
      level.value.members.push_back({level.name, {}, std::move(value)});
    } else {
      level.value.items.push_back(std::move(value));
    }
    return true;
  }

  std::vector<Level> open_;
};

}  // namespace

Result<Value> FromCompactJson(std::string_view text) {
  Builder builder;
  bool read = false;
  try {
    read = nlohmann::json::sax_parse(text, &builder);
  } catch (const std::exception& e) {
    builder.problem = e.what();
  }
  if (!read) return Fail(ErrorCode::kCorrupt, "read", "JSON", builder.problem);
  return std::move(builder.root);
}

}  // namespace nucleus::spec
