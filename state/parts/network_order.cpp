#include "state/parts/network_order.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace nucleus {

namespace {

constexpr std::string_view kPublished = "published=";

std::string_view TakeWord(std::string_view& text) {
  const auto word = text.substr(0, text.find(' '));
  text.remove_prefix(std::min(word.size() + 1, text.size()));
  return word;
}

}  // namespace

Result<NetworkOrder> ReadNetworkOrder(std::string_view text) {
  const auto corrupt = [](std::string_view why) { return Fail(ErrorCode::kCorrupt, "read", "network file", why); };
  NetworkOrder order;
  bool first = true, has_digest = false;
  while (!text.empty()) {
    auto line = text.substr(0, text.find('\n'));
    if (line.size() == text.size()) return corrupt("its last line is cut off");
    text.remove_prefix(line.size() + 1);
    if (first && line != kNetworkFirstLine) return corrupt("it does not begin as such a file does");
    if (std::exchange(first, false)) continue;
    const auto key = TakeWord(line);
    if (key == "digest") {
      order.digest = TRY(Digest::Parse(line));
      has_digest = true;
    } else if (key == "serial") {
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), order.serial);
      if (error != std::errc() || end != line.data() + line.size()) return corrupt("its serial is no number");
    } else if (key == "program") {
      order.program = line;
    }
  }
  if (!has_digest || !order.program.starts_with('/')) return corrupt("what it is about is missing");
  return order;
}

NetworkState ReadNetworkState(std::string_view text) {
  NetworkState state;
  state.digest = TakeWord(text);
  state.serial = TakeWord(text);
  if (text.starts_with(kPublished)) {
    auto list = TakeWord(text).substr(kPublished.size());
    state.published.emplace();
    while (!list.empty()) {
      const auto port = list.substr(0, list.find(','));
      state.published->emplace_back(port);
      list.remove_prefix(std::min(port.size() + 1, list.size()));
    }
  }
  state.why = text;
  return state;
}

bool NetworkState::Publishes(std::string_view port) const {
  return why.empty() || !published || std::ranges::find(*published, port) != published->end();
}

std::string NetworkState::Text() const {
  if (why.empty()) return digest;
  std::string text = digest + " " + serial + " ";
  if (published) {
    text += kPublished;
    for (const auto& port : *published) text.append(&port == &published->front() ? "" : ",").append(port);
    text += " ";
  }
  return text + why;
}

}  // namespace nucleus
