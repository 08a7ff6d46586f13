#include "state/parts/network_help.hpp"

#include <algorithm>
#include <array>

#include "spec/net.hpp"

namespace nucleus {

namespace {

using spec::NatBackend;
constexpr std::array kBackends = {std::pair(NatBackend::kKernel, std::string_view("kernel")),
                                  std::pair(NatBackend::kUserspace, std::string_view("userspace")),
                                  std::pair(NatBackend::kSlirp4netns, std::string_view("slirp4netns")),
                                  std::pair(NatBackend::kPasta, std::string_view("pasta"))};

std::string Body(const NetworkHelp& help) {
  std::string text;
  const auto line = [&](std::string_view key, std::string_view value) {
    text.append(key).append(" ").append(value).append("\n");
  };
  line("backend", std::ranges::find(kBackends, help.backend, [](const auto& word) { return word.first; })->second);
  line("pin", help.pin);
  for (const auto& port : help.ports) line("port", Format(port));
  for (const auto& resolver : help.resolvers) line("resolver", Format(resolver));
  for (const auto& domain : help.domains) line("domain", domain);
  if (help.must_resolve) line("must_resolve", "1");
  if (help.v6) line("v6", "1");
  return text;
}

}  // namespace

Digest DigestOf(const NetworkHelp& help) {
  return Sha256::Of(Body(help));
}

std::string EncodeNetworkHelp(const NetworkHelp& help, std::uint64_t serial, std::string_view program) {
  std::string text(kNetworkFirstLine);
  text += "\ndigest " + DigestOf(help).Hex() + "\nserial " + std::to_string(serial) + "\nprogram ";
  return text.append(program).append("\n") + Body(help);
}

Result<NetworkHelp> DecodeNetworkHelp(std::string_view text) {
  const auto order = TRY(ReadNetworkOrder(text));
  const auto corrupt = [](std::string_view why) { return Fail(ErrorCode::kCorrupt, "read", "network file", why); };
  NetworkHelp help;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(line.size() + 1);
    const auto blank = line.find(' ');
    if (blank == std::string_view::npos) continue;
    const auto key = line.substr(0, blank), value = line.substr(blank + 1);
    if (key == "backend") {
      const auto* word = std::ranges::find(kBackends, value, [](const auto& known) { return known.second; });
      if (word == kBackends.end()) return corrupt("there is no such backend");
      help.backend = word->first;
    } else if (key == "pin") {
      help.pin = value;
    } else if (key == "port") {
      help.ports.push_back(TRY(spec::ParsePortForward(value)));
    } else if (key == "resolver") {
      help.resolvers.push_back(TRY(spec::ParseIpAddress(value)));
    } else if (key == "domain") {
      help.domains.emplace_back(value);
    } else if (key == "must_resolve") {
      help.must_resolve = value == "1";
    } else if (key == "v6") {
      help.v6 = value == "1";
    }
  }
  if (DigestOf(help) != order.digest) return corrupt("it is not what it says it is");
  return help;
}

}  // namespace nucleus
