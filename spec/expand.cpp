#include "spec/expand.hpp"

#include <algorithm>

#include "spec/reader.hpp"

namespace nucleus::spec {

namespace {

constexpr int kMostNested = 8;
constexpr std::size_t kLongest = 1 << 20;  // of the result: a short text can ask for a long variable many times

std::unexpected<Error> Wrong(std::string_view cause) {
  return Fail(Error::Invalid("", cause));
}

bool IsNameCharacter(char c, bool first) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (!first && c >= '0' && c <= '9');
}

// The place of the '}' that closes the "${" at the start of text.
std::size_t ClosingBrace(std::string_view text) {
  int open = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto two = text.substr(at, 2);
    if (two == "$$" || two == "${") {
      if (two == "${") ++open;
      ++at;
    } else if (text[at] == '}' && --open == 0) {
      return at;
    }
  }
  return std::string_view::npos;
}

Result<std::string> Expand(std::string_view text, const Outside& outside, int depth);

// What stands between "${" and "}".
Result<std::string> Variable(std::string_view inside, const Outside& outside, int depth) {
  std::size_t length = 0;
  while (length < inside.size() && IsNameCharacter(inside[length], length == 0)) ++length;
  const std::string name(inside.substr(0, length));
  const std::string_view rest = inside.substr(length);
  const bool has_default = rest.starts_with(":-");
  const bool has_message = rest.starts_with(":?");
  if (name.empty() || (!rest.empty() && !has_default && !has_message)) {
    return Wrong("not a variable; write ${NAME}, ${NAME:-default} or ${NAME:?message}, or $${ for a plain one");
  }
  const auto value = outside.variable(name);
  if (value && (!value->empty() || rest.empty())) {
    if (value->find('\0') != std::string::npos) return Wrong("variable " + name + " has a NUL in it");
    if (!IsUtf8(*value)) return Wrong("variable " + name + " is not UTF-8");
    return *value;
  }
  if (has_default) return Expand(rest.substr(2), outside, depth + 1);
  if (has_message) return Wrong("variable " + name + " is not set: " + Shown(rest.substr(2)));
  return Wrong("variable " + name + " is not set; set it, or write ${" + name + ":-default}");
}

Result<std::string> Expand(std::string_view text, const Outside& outside, int depth) {
  if (depth > kMostNested) return Wrong("variables nested too deeply");
  std::string out;
  while (!text.empty()) {
    const std::size_t dollar = std::min(text.find('$'), text.size());
    out += text.substr(0, dollar);
    text.remove_prefix(dollar);
    if (text.starts_with("${")) {
      const std::size_t end = ClosingBrace(text);
      if (end == std::string_view::npos) return Wrong("'${' without '}'; write $${ for a plain one");
      out += TRY(Variable(text.substr(2, end - 2), outside, depth));
      text.remove_prefix(end + 1);
    } else if (!text.empty()) {
      out += '$';
      text.remove_prefix(text.starts_with("$$") ? 2 : 1);
    }
    if (out.size() > kLongest) return Wrong("longer than 1M once the variables are put in");
  }
  return out;
}

}  // namespace

Result<std::string> ExpandVariables(std::string_view text, const Outside& outside) {
  return Expand(text, outside, 0);
}

}  // namespace nucleus::spec
