// The facts of bridge, firewall, netns and names parts.
//   bridge    link, type, alias, address (all of them), mac, mtu, up, and one per sysctl
//   firewall  see firewall_model.hpp
//   netns     pin, lo, one per sysctl; for each link inside NAME and "NAME host end"; "default route"; egress_model.hpp
//   names     SHA-256 of each file
#include "state/parts/netns_facts.hpp"

#include "spec/core/hash.hpp"
#include "spec/core/names.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus {

namespace {

using Setting = std::pair<std::string_view, std::string_view>;

constexpr Setting kNetnsSysctls[] = {
    {"net/ipv4/ip_unprivileged_port_start", "0"}, {"net/ipv4/ping_group_range", "0 2147483647"},
    {"net/ipv4/conf/all/accept_redirects", "0"},  {"net/ipv4/conf/default/accept_redirects", "0"},
    {"net/ipv6/conf/default/disable_ipv6", "1"},
};

constexpr Setting kUserspaceSysctls[] = {
    {"net/ipv4/ip_unprivileged_port_start", "0"},
    {"net/ipv4/ping_group_range", "0 0"},
    {"net/ipv6/conf/default/disable_ipv6", "1"},
};

constexpr Setting kBridgeSysctls[] = {
    {"net/ipv4/conf/%/route_localnet", "1"},
    {"net/ipv6/conf/%/disable_ipv6", "1"},
    {"net/ipv6/conf/%/accept_ra", "0"},
    {"net/ipv6/conf/%/autoconf", "0"},
};

std::string WithPrefix(spec::Ipv4 address, std::uint8_t prefix) {
  return spec::Format(address) + "/" + std::to_string(prefix);
}

}  // namespace

MacAddress MacOf(spec::Ipv4 address) {
  const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(address.value >> shift); };
  return {0x02, 0x6e, byte(24), byte(16), byte(8), byte(0)};
}

std::string Format(const MacAddress& mac) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const auto byte : mac) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::span<const Setting> NetnsSysctls() {
  return kNetnsSysctls;
}
std::span<const Setting> UserspaceSysctls() {
  return kUserspaceSysctls;
}
std::span<const Setting> BridgeSysctls() {
  return kBridgeSysctls;
}

std::string SettingName(std::string_view setting) {
  std::string name;
  for (const char c : setting.substr(std::string_view("net/").size())) {
    if (c != '%') name += c == '/' ? '.' : c;
  }
  if (const auto gap = name.find(".."); gap != std::string::npos) name.erase(gap, 1);
  return name;
}

namespace {

Facts NamedSettings(std::span<const Setting> settings) {
  Facts facts;
  for (const auto& [path, value] : settings) facts.emplace(SettingName(path), value);
  return facts;
}

}  // namespace

std::string InsideText(std::string_view addresses, const MacAddress& mac, std::uint32_t mtu, bool up) {
  return std::string(addresses) + " mac " + Format(mac) + " mtu " + std::to_string(mtu) + (up ? " up" : " down");
}

std::string HostEndText(std::string_view name, std::string_view bridge, std::uint32_t mtu, bool up, bool hairpin,
                        std::string_view alias) {
  return std::string(name) + " in " + (bridge.empty() ? "no bridge" : std::string(bridge)) + " mtu " +
         std::to_string(mtu) + (up ? " up" : " down") + (hairpin ? " hairpin" : "") + " alias " + std::string(alias);
}

std::string RouteText(spec::Ipv4 gateway, std::string_view link) {
  return spec::Format(gateway) + " dev " + std::string(link);
}

std::string HostnameFile(const NamesWanted& wanted) {
  return wanted.hostname + "\n";
}

Facts ExpectedFacts(const BridgeWanted& wanted) {
  Facts facts{{"link", wanted.link},
              {"type", "bridge"},
              {"alias", wanted.alias},
              {"address", WithPrefix(wanted.gateway, wanted.prefix)},
              {"mac", Format(MacOf(wanted.gateway))},
              {"mtu", std::to_string(wanted.mtu)},
              {"up", "yes"}};
  static const Facts settings = NamedSettings(kBridgeSysctls);
  facts.insert(settings.begin(), settings.end());
  return facts;
}

Facts ExpectedFacts(const FirewallWanted& wanted) {
  return FirewallFacts(ExpectedFirewall(wanted));
}

Facts ExpectedFacts(const NetnsWanted& wanted) {
  Facts facts{{"pin", "mounted"}, {"lo", "up"}};
  static const Facts settings = NamedSettings(kNetnsSysctls);
  facts.insert(settings.begin(), settings.end());
  bool routed = false;
  for (const auto& attachment : wanted.attachments) {
    facts[attachment.link] =
        InsideText(WithPrefix(attachment.address, attachment.prefix), MacOf(attachment.address), attachment.mtu, true);
    facts[attachment.link + " host end"] =
        HostEndText(attachment.host_link, attachment.bridge, attachment.mtu, true, true, wanted.alias);
    if (attachment.gateway && !routed) {
      facts["default route"] = RouteText(*attachment.gateway, attachment.link);
      routed = true;
    }
  }
  if (wanted.egress) facts.merge(EgressFacts(ExpectedEgress(*wanted.egress)));
  return facts;
}

Facts ExpectedFacts(const NamesWanted& wanted) {
  return {{std::string(kHostsFile), Sha256::Of(wanted.hosts).Hex()},
          {std::string(kResolvFile), Sha256::Of(wanted.resolv_conf).Hex()},
          {std::string(kHostnameFile), Sha256::Of(HostnameFile(wanted)).Hex()}};
}

}  // namespace nucleus
