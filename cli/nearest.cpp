#include "cli/nearest.hpp"

#include <algorithm>
#include <cctype>
#include <string>
#include <vector>

#include "spec/core/nearest.hpp"

namespace nucleus::cli {

namespace {

std::string Lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

std::optional<std::string_view> Nearest(std::string_view misspelt, std::span<const std::string_view> known) {
  constexpr std::size_t kShortestBeginning = 3;
  if (misspelt.empty()) return std::nullopt;
  const std::string wrong = Lower(misspelt);
  std::vector<std::string> lower;
  lower.reserve(known.size());
  for (const std::string_view word : known) lower.push_back(Lower(word));
  const std::vector<std::string_view> views(lower.begin(), lower.end());

  auto found = views.end();
  if (const auto near = nucleus::Nearest(wrong, views)) {
    found = std::ranges::find(views, *near);
  } else if (wrong.size() >= kShortestBeginning) {
    found = std::ranges::find_if(views, [&](std::string_view word) { return word.starts_with(wrong); });
  }
  if (found == views.end()) return std::nullopt;
  return known[static_cast<std::size_t>(found - views.begin())];
}

}  // namespace nucleus::cli
