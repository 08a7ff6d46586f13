#include "cli/arguments.hpp"

#include <cstdlib>

namespace nucleus::cli {

std::string Arguments::Value(std::string_view option) const {
  if (const auto found = values_.find(option); found != values_.end() && !found->second.empty()) {
    return found->second.back();
  }
  const Option* definition = FindOption(*command_, option);
  return definition == nullptr ? std::string() : std::string(definition->fallback);
}

std::vector<std::string> Arguments::Values(std::string_view option) const {
  const auto found = values_.find(option);
  if (found == values_.end()) return {};
  const Option* definition = FindOption(*command_, option);
  const bool list =
      definition != nullptr && (definition->type == ValueType::kChoices || definition->type == ValueType::kAddress);
  if (!list) return found->second;
  std::vector<std::string> out;
  for (const std::string& value : found->second) {
    std::size_t begin = 0;
    while (begin <= value.size()) {
      const std::size_t end = std::min(value.find(',', begin), value.size());
      if (end > begin) out.push_back(value.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return out;
}

std::uint64_t Arguments::Unsigned(std::string_view option) const {
  return ParseUnsigned(Value(option)).value_or(0);  // checked by Parse
}

Duration Arguments::Time(std::string_view option) const {
  return ParseDuration(Value(option)).value_or(Duration{0});  // checked by Parse
}

std::vector<std::string> GivenVariables(const Arguments& arguments) {
  constexpr std::string_view kOfNames = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  std::vector<std::string> given;
  for (auto& variable : arguments.Values("env")) {
    // What is no name either is refused where it is read.
    if (variable.empty() || variable.find_first_not_of(kOfNames) != std::string::npos) {
      given.push_back(std::move(variable));
    } else if (const char* value = std::getenv(variable.c_str())) {
      given.push_back(variable + "=" + value);
    }
  }
  return given;
}

}  // namespace nucleus::cli
