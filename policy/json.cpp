#include "policy/json.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>

namespace nucleus::policy {

namespace {

// Tells how far the lexer has read, which nlohmann does only for syntax errors.
class Counting {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Counting(const char* at, std::size_t* read) : at_(at), read_(read) {}
  reference operator*() const { return *at_; }
  Counting& operator++() {
    ++at_;
    ++*read_;
    return *this;
  }
  Counting operator++(int) {
    Counting before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Counting& other) const { return at_ == other.at_; }
  bool operator!=(const Counting& other) const { return at_ != other.at_; }

 private:
  const char* at_;
  std::size_t* read_;
};

class Builder {
 public:
  Builder(std::string_view text, const JsonLimits& limits, const std::size_t& read, JsonRead& out)
      : text_(text), limits_(limits), read_(read), out_(out) {}

  bool null() { return Add({}); }
  bool boolean(bool value) {
    Json json = Of(Json::Type::kBool);
    json.flag = value;
    return Add(std::move(json));
  }
  bool number_integer(std::int64_t) { return Add(Of(Json::Type::kSigned)); }  // negative, or it were unsigned
  bool number_unsigned(std::uint64_t value) {
    Json json = Of(Json::Type::kUnsigned);
    json.number = value;
    return Add(std::move(json));
  }
  bool number_float(double, const std::string&) { return Add(Of(Json::Type::kFloat)); }
  bool string(std::string& value) {
    Json json = Of(Json::Type::kString);
    json.text = std::move(value);
    return Add(std::move(json));
  }
  bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(std::size_t) { return Open(Json::Type::kObject); }
  bool start_array(std::size_t) { return Open(Json::Type::kArray); }
  bool end_object() { return Close(); }
  bool end_array() { return Close(); }

  bool key(std::string& name) {
    const std::size_t at = Start();
    Frame& frame = open_.back();
    if (++values_ > limits_.values) return Refuse(at, "too many values");
    frame.ignored = !frame.names.insert(name).second;
    if (frame.ignored && out_.problems.size() < kMostProblems) {
      out_.problems.push_back({at, "the key '" + name.substr(0, 80) + "' is there twice"});
    }
    frame.key = std::move(name);
    frame.key_at = at;
    return true;
  }

  [[nodiscard]] bool failed() const { return failed_; }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    std::string_view why = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while …; last read: …"
    if (const auto colon = why.find(": "); colon != std::string_view::npos) why.remove_prefix(colon + 2);
    why = why.substr(0, why.find("; last read"));
    return Refuse(position == 0 ? 0 : position - 1, "not JSON: " + std::string(why.substr(0, 160)));
  }

 private:
  static constexpr std::size_t kMostProblems = 100;

  struct Frame {
    Json json;
    std::string key;  // of the value to come
    std::size_t key_at = 0;
    bool ignored = false;  // it was there already
    std::set<std::string, std::less<>> names;
  };

  static Json Of(Json::Type type) {
    Json json;
    json.type = type;
    return json;
  }

  // Between two values there is only white space and punctuation.
  std::size_t Start() {
    std::size_t at = std::min(text_.find_first_not_of(" \t\r\n,:]}\xef\xbb\xbf", last_), text_.size());
    last_ = std::min(read_, text_.size());
    return at;
  }

  bool Refuse(std::size_t at, std::string message) {
    out_.problems.push_back({std::min(at, text_.size()), std::move(message)});
    failed_ = true;
    return false;
  }

  bool Open(Json::Type type) {
    const std::size_t at = Start();
    if (++values_ > limits_.values) return Refuse(at, "too many values");
    if (open_.size() >= limits_.depth) return Refuse(at, "nested too deeply");
    Frame frame;
    frame.json.type = type;
    frame.json.at = at;
    open_.push_back(std::move(frame));
    return true;
  }

  bool Close() {
    last_ = std::min(read_, text_.size());
    Json done = std::move(open_.back().json);
    open_.pop_back();
    return Place(std::move(done));
  }

  bool Add(Json value) {
    value.at = Start();
    if (++values_ > limits_.values) return Refuse(value.at, "too many values");
    return Place(std::move(value));
  }

  bool Place(Json value) {
    if (open_.empty()) {
      out_.value = std::move(value);
      return true;
    }
    Frame& frame = open_.back();
    if (frame.json.type == Json::Type::kArray) {
      frame.json.items.push_back(std::move(value));
    } else if (!frame.ignored) {
      frame.json.members.push_back({std::move(frame.key), frame.key_at, std::move(value)});
    }
    return true;
  }

  std::string_view text_;
  const JsonLimits& limits_;
  const std::size_t& read_;
  JsonRead& out_;
  std::vector<Frame> open_;
  std::size_t last_ = 0;
  std::size_t values_ = 0;
  bool failed_ = false;
};

}  // namespace

const Json* Json::Find(std::string_view name) const {
  const auto found = std::ranges::find(members, name, &JsonMember::name);
  return found == members.end() ? nullptr : &found->value;
}

std::string_view TypeName(Json::Type type) {
  switch (type) {
    case Json::Type::kNull:
      return "null";
    case Json::Type::kBool:
      return "true or false";
    case Json::Type::kUnsigned:
      return "a number";
    case Json::Type::kSigned:
      return "a negative number";
    case Json::Type::kFloat:
      return "a number that is not whole or beyond 64 bits";
    case Json::Type::kString:
      return "a string";
    case Json::Type::kArray:
      return "a list";
    case Json::Type::kObject:
      return "an object";
  }
  return "";
}

namespace {

// nlohmann keeps white space for its message, and there writes every control character as six.
std::optional<std::size_t> LongBlank(std::string_view text) {
  constexpr std::size_t kLongest = std::size_t{64} << 10;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (static_cast<unsigned char>(text[at]) > 0x20) {
      begin = at + 1;
    } else if (at - begin >= kLongest) {
      return begin;
    }
  }
  return std::nullopt;
}

}  // namespace

JsonRead ReadJson(std::string_view text, const JsonLimits& limits) {
  JsonRead out;
  if (text.size() > limits.bytes) {
    out.problems.push_back({0, "larger than " + std::to_string(limits.bytes >> 10) + "K"});
    return out;
  }
  if (const auto blank = LongBlank(text)) {
    out.problems.push_back({*blank, "more than 64K of white space"});
    return out;
  }
  std::size_t read = 0;
  Builder builder(text, limits, read, out);
  bool whole = false;
  try {
    const char* begin = text.data();
    whole = nlohmann::json::sax_parse(Counting(begin, &read), Counting(begin + text.size(), &read), &builder);
  } catch (const std::exception& e) {  // out of memory
    out.problems.push_back({0, std::string("cannot be parsed: ") + e.what()});
  }
  if (!whole || builder.failed()) out.value.reset();
  return out;
}

LineIndex::LineIndex(std::string_view text) : text_(text), starts_{0} {
  starts_.reserve(static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1);
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\n') starts_.push_back(at + 1);
  }
}

spec::Place LineIndex::At(std::size_t byte) const {
  constexpr std::size_t kCounted = 4096;
  byte = std::min(byte, text_.size());
  const auto line = std::ranges::upper_bound(starts_, byte) - starts_.begin();
  const std::string_view before = text_.substr(starts_[line - 1], byte - starts_[line - 1]);
  const auto extra = std::ranges::count_if(before.substr(0, kCounted),
                                           [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; });
  return {0, static_cast<std::uint32_t>(line), static_cast<std::uint32_t>(before.size() - extra + 1)};
}

}  // namespace nucleus::policy
