#include "reconcile/data_keepers.hpp"

#include <algorithm>
#include <filesystem>

#include "spec/core/paths.hpp"

namespace nucleus::reconcile {

namespace {

std::string Normal(std::string_view path) {
  std::string normal = std::filesystem::path(path).lexically_normal();
  while (normal.size() > 1 && normal.ends_with('/')) normal.pop_back();
  return normal;
}

}  // namespace

void DataKeepers::Add(std::string_view path, std::string_view owner) {
  owners_.try_emplace(Normal(path), owner);
}

std::string DataKeepers::Of(std::string_view path) const {
  const std::string normal = Normal(path);
  for (std::string_view above = normal;; above = above.substr(0, std::max<std::size_t>(above.rfind('/'), 1))) {
    if (const auto owner = owners_.find(above); owner != owners_.end()) return owner->second;
    if (above.size() <= 1) break;
  }
  const auto below = owners_.lower_bound(normal == "/" ? normal : normal + "/");
  return below != owners_.end() && IsAtOrBelow(below->first, normal) ? below->second : "";
}

}  // namespace nucleus::reconcile
