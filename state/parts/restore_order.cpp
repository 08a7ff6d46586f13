// Words, each with a zero byte behind it: a format's name, three of the order, two for each mount.
#include "state/parts/restore_order.hpp"

namespace nucleus {

namespace {

constexpr std::string_view kFormat = "nucleus-restore 1";

}  // namespace

std::string Encode(const RestoreOrder& order) {
  std::string data;
  const auto add = [&data](std::string_view word) { (data += word) += '\0'; };
  for (const std::string_view word :
       {kFormat, std::string_view(order.images), std::string_view(order.output), std::string_view(order.error)})
    add(word);
  for (const auto& [destination, key] : order.mounts) {
    add(destination);
    add(key);
  }
  return data;
}

Result<RestoreOrder> DecodeRestoreOrder(std::string_view data) {
  std::vector<std::string> words;
  while (!data.empty()) {
    const auto end = data.find('\0');
    if (end == std::string_view::npos) break;
    words.emplace_back(data.substr(0, end));
    data.remove_prefix(end + 1);
  }
  constexpr std::size_t kFixed = 4;
  const bool good = data.empty() && words.size() >= kFixed && words.size() % 2 == 0 && words[0] == kFormat;
  if (!good || !words[1].starts_with('/'))
    return Fail(ErrorCode::kCorrupt, "read", "restore file", "it is not as such a file is");
  RestoreOrder order{.images = words[1], .output = words[2], .error = words[3]};
  for (std::size_t i = kFixed; i < words.size(); i += 2) order.mounts.push_back({words[i], words[i + 1]});
  return order;
}

}  // namespace nucleus
