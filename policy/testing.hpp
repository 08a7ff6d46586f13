// Short ways to write policies in the tests of this folder, and to see what is said of them.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "spec/load.hpp"

namespace nucleus::policy::testing {

inline std::string Lines(const std::vector<spec::Problem>& problems) {
  std::string out;
  for (const auto& problem : problems) out += problem.Text() + "\n";
  return out;
}

inline bool HasError(const std::vector<spec::Problem>& problems) {
  return std::ranges::any_of(problems, [](const auto& problem) { return !problem.warning; });
}

// args: "[0, 16, 0, 'SCMP_CMP_EQ'] [2, …]" for index, value, valueTwo and op.
inline std::string Rule(std::string_view name, std::string_view action, std::string_view args,
                        std::string_view more = "") {
  std::string list;
  for (std::size_t at = args.find('['); at != std::string_view::npos; at = args.find('[', at + 1)) {
    const std::string one(args.substr(at + 1, args.find(']', at) - at - 1));
    const auto first = one.find(','), second = one.find(',', first + 1), third = one.find(',', second + 1);
    std::string op = one.substr(third + 1);
    std::ranges::replace(op, '\'', '"');
    list += (list.empty() ? "" : ",") + ("{\"index\":" + one.substr(0, first)) +
            ",\"value\":" + one.substr(first + 1, second - first - 1) +
            ",\"valueTwo\":" + one.substr(second + 1, third - second - 1) + ",\"op\":" + op + "}";
  }
  return "{\"names\":[\"" + std::string(name) + "\"],\"action\":\"" + std::string(action) + "\",\"args\":[" + list +
         "]" + std::string(more) + "}";
}

inline std::string WithRules(std::string_view rules, std::string_view default_action = "SCMP_ACT_ERRNO",
                             std::string_view more = "") {
  return "{\"defaultAction\":\"" + std::string(default_action) + "\"" + std::string(more) + ",\"syscalls\":[" +
         std::string(rules) + "]}";
}

}  // namespace nucleus::policy::testing
