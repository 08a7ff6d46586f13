// toml++ is included here and nowhere else: it is heavy to compile, and its nesting limit must be one for the program.
#define TOML_MAX_NESTED_VALUES 24
// Its assertions are wrong about some texts ("[#"), which the code behind them refuses rightly: so they must neither
// abort nor, as they do with NDEBUG, be promises to the optimiser.
#undef NDEBUG
#define TOML_ASSERT(expr) static_assert(true)
#include "spec/parse.hpp"

#include <toml++/toml.h>
#include <algorithm>
#include <optional>

#include "spec/expand.hpp"

namespace nucleus::spec {

namespace {

// Tables nest by dotted keys without any limit in toml++, and are destroyed recursively: a file of "a.a.a.a…" would
// overflow the stack. So keys are measured first. Its tables of Unicode end in __builtin_unreachable for characters
// that no TOML has outside of strings and comments: so those are looked for as well. This follows the grammar just far
// enough to know strings and comments from keys; after the first syntax error, where it may lose its way, toml++ stops
// anyway.
class Forbidden {
 public:
  static constexpr int kMost = 16;

  explicit Forbidden(std::string_view text) : text_(text) {}

  struct Found {
    std::size_t at = 0;
    std::string problem;
  };

  // What toml++ must not see.
  std::optional<Found> First() {
    if (text_.starts_with("\xef\xbb\xbf")) at_ = 3;  // a byte order mark
    int dots = 0;
    while (at_ < text_.size()) {
      switch (text_[at_]) {
        case '#':
          at_ = std::min(text_.find('\n', at_), text_.size());
          continue;
        case '"':
        case '\'':
          // toml++ looks on over such a quote for the type of a value.
          if (at_ > 0 && IsWord(text_[at_ - 1])) return Found{at_, "not TOML: a quote in the midst of a word"};
          SkipString();
          continue;
        case '.':
          if (++dots >= kMost) return Found{at_, "a key of more than " + std::to_string(kMost) + " parts"};
          break;
        case '\n':
        case '=':
        case ',':
        case '[':
        case '{':
          dots = 0;
          break;
        default:
          if (static_cast<unsigned char>(text_[at_]) < 0x80) break;
          return Found{at_, "not TOML: letters and signs beyond ASCII stand in quotes only"};
      }
      ++at_;
    }
    return std::nullopt;
  }

 private:
  static bool IsWord(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '+' ||
           c == '-';
  }

  void SkipString() {
    const char quote = text_[at_];
    const std::string triple(3, quote);
    const bool multi_line = text_.substr(at_, 3) == triple;
    at_ += multi_line ? 3 : 1;
    for (; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '\\' && quote == '"') {
        ++at_;
      } else if (c == '\n' && !multi_line) {
        return;
      } else if (c == quote && !multi_line) {
        ++at_;
        return;
      } else if (c == quote && text_.substr(at_, 3) == triple) {
        at_ += 3;
        while (at_ < text_.size() && text_[at_] == quote) ++at_;  // up to two quotes may precede the end
        return;
      }
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

class Converter {
 public:
  Converter(std::uint32_t file, Reader& reader) : file_(file), reader_(reader) {}

  Value Convert(const toml::node& node, int depth) {
    Value value;
    value.place = At(node.source());
    if (depth > kMaxDepth) {
      reader_.Report(value.place, "nested too deeply");
      return value;
    }
    switch (node.type()) {
      case toml::node_type::table:
        Table(*node.as_table(), depth, value);
        break;
      case toml::node_type::array:
        value.type = Value::Type::kArray;
        for (const auto& item : *node.as_array()) value.items.push_back(Convert(item, depth + 1));
        break;
      case toml::node_type::string:
        String(node.as_string()->get(), value);
        break;
      case toml::node_type::integer:
        value.type = Value::Type::kInteger;
        value.integer = node.as_integer()->get();
        break;
      case toml::node_type::floating_point:
        value.type = Value::Type::kFloat;
        value.number = node.as_floating_point()->get();
        break;
      case toml::node_type::boolean:
        value.type = Value::Type::kBool;
        value.flag = node.as_boolean()->get();
        break;
      case toml::node_type::date:
      case toml::node_type::time:
      case toml::node_type::date_time:
      case toml::node_type::none:
        value.text = "a date or time";
        break;
    }
    return value;
  }

 private:
  Place At(const toml::source_region& region) const { return {file_, region.begin.line, region.begin.column}; }

  void Table(const toml::table& table, int depth, Value& value) {
    value.type = Value::Type::kTable;
    for (const auto& [key, node] : table) {
      value.members.push_back({std::string(key.str()), At(key.source()), Convert(node, depth + 1)});
      // A value without a place of its own (a table made by a dotted key) is where its key is.
      auto& member = value.members.back();
      if (member.value.place.line == 0) member.value.place = member.place;
      if (member.name.find('\0') != std::string::npos) reader_.Report(member.place, "a key has a NUL in it");
    }
  }

  void Refuse(Value& value, std::string message) {
    reader_.Report(value.place, std::move(message));
    value.refused = true;
  }

  void String(const std::string& text, Value& value) {
    value.type = Value::Type::kString;
    value.text = text;
    if (text.find('\0') != std::string::npos) {
      Refuse(value, "a string has a NUL in it, which no program could be given");
      value.text.clear();
      return;
    }
    if (text.find('$') == std::string::npos) return;
    auto expanded = ExpandVariables(text, reader_.outside());
    if (!expanded) {
      Refuse(value, "'" + Shown(text) + "': " + expanded.error().cause);
      return;
    }
    if (*expanded == text) return;
    // A file can name a long variable in many strings.
    expanded_ += expanded->size();
    if (expanded_ > kMostExpanded) {
      Refuse(value, "the variables of this file are too long together");
      return;
    }
    value.written = text;
    value.text = *std::move(expanded);
  }

  static constexpr std::size_t kMostExpanded = std::size_t{64} << 20;

  std::uint32_t file_;
  Reader& reader_;
  std::size_t expanded_ = 0;
};

}  // namespace

std::optional<Value> ParseToml(std::string_view text, std::uint32_t file, Reader& reader) {
  if (const auto found = Forbidden(text).First()) {
    const auto before = text.substr(0, found->at);
    const auto line = static_cast<std::uint32_t>(std::ranges::count(before, '\n'));
    const auto column = found->at - (before.rfind('\n') + 1);  // npos + 1 is 0: the first line
    reader.Report({file, line + 1, static_cast<std::uint32_t>(column) + 1}, found->problem);
    return std::nullopt;
  }
  std::optional<toml::parse_result> parsed;
  try {
    parsed.emplace(toml::parse(text));
  } catch (const std::exception& e) {  // out of memory, or a mistake of the library: not ours to die of
    reader.Report({file, 1, 1}, std::string("cannot be parsed: ") + e.what());
    return std::nullopt;
  }
  if (!*parsed) {
    const auto& error = parsed->error();
    reader.Report({file, std::max(error.source().begin.line, 1u), std::max(error.source().begin.column, 1u)},
                  "not TOML: " + Shown(error.description()));
    return std::nullopt;
  }
  Value value = Converter(file, reader).Convert(parsed->table(), 0);
  value.place = {file, 1, 1};
  return value;
}

}  // namespace nucleus::spec
