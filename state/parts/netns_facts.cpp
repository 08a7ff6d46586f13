// The facts of bridge, firewall, netns and names parts.
//   bridge    link, type, alias, address (all of them), mac, mtu, up, "learns of group frames", and one per sysctl
//   firewall  see firewall_model.hpp
//   netns     pin, lo, one per sysctl, but for how links begin; for each of its networks NetworkFact() and the same
//             with "host end", for any other veth its name; "default route"; egress_model.hpp
//   names     SHA-256 of each file
#include "state/parts/netns_facts.hpp"

#include <algorithm>

#include "spec/core/hash.hpp"
#include "spec/core/names.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"
#include "state/parts/facts.hpp"

namespace nucleus {

namespace {

using Setting = std::pair<std::string_view, std::string_view>;

constexpr Setting kNetnsSysctls[] = {
    {kForwardSetting, "0"},  // the first: it sets others back, ip-sysctl.rst
    {"net/ipv4/ip_unprivileged_port_start", "0"},
    {"net/ipv4/ping_group_range", "0 2147483647"},
    {"net/ipv4/conf/all/accept_redirects", "0"},
    {"net/ipv4/conf/default/accept_redirects", "0"},
};

// The first group is the only one that is there for certain.
constexpr Setting kNestedSysctls[] = {
    {kForwardSetting, "0"},
    {"net/ipv4/ip_unprivileged_port_start", "0"},
    {"net/ipv4/ping_group_range", "0 0"},
    {"net/ipv4/conf/all/accept_redirects", "0"},
    {"net/ipv4/conf/default/accept_redirects", "0"},
};

constexpr Setting kUserspaceSysctls[] = {
    {"net/ipv4/ip_unprivileged_port_start", "0"},
    {"net/ipv4/ping_group_range", "0 0"},
};

constexpr Setting kNoIpv6Sysctls[] = {{"net/ipv6/conf/default/disable_ipv6", "1"}};

constexpr Setting kIpv6Sysctls[] = {
    {"net/ipv6/conf/default/accept_ra", "0"},        {"net/ipv6/conf/default/autoconf", "0"},
    {"net/ipv6/conf/default/accept_redirects", "0"}, {"net/ipv6/conf/default/accept_dad", "0"},
    {"net/ipv6/conf/default/disable_ipv6", "0"},
};

bool SaysHowLinksBegin(const Setting& setting) {
  return setting.first.find("/conf/default/") != std::string_view::npos;
}

constexpr Setting kBridgeSysctls[] = {
    {"net/ipv4/conf/%/route_localnet", "1"},
    {"net/ipv6/conf/%/disable_ipv6", "1"},
    {"net/ipv6/conf/%/accept_ra", "0"},
    {"net/ipv6/conf/%/autoconf", "0"},
};

constexpr Setting kDualBridgeSysctls[] = {
    {"net/ipv4/conf/%/route_localnet", "1"}, {"net/ipv6/conf/%/accept_ra", "0"},
    {"net/ipv6/conf/%/autoconf", "0"},       {"net/ipv6/conf/%/accept_redirects", "0"},
    {"net/ipv6/conf/%/accept_dad", "0"},     {"net/ipv6/conf/%/disable_ipv6", "0"},
};

constexpr Setting kIpv4LinkSysctls[] = {
    {"net/ipv4/conf/%/forwarding", "0"},
    {"net/ipv4/conf/%/accept_redirects", "0"},
};

constexpr Setting kIpv6LinkSysctls[] = {
    {"net/ipv6/conf/%/accept_ra", "0"},        {"net/ipv6/conf/%/autoconf", "0"},
    {"net/ipv6/conf/%/accept_redirects", "0"}, {"net/ipv6/conf/%/accept_dad", "0"},
    {"net/ipv6/conf/%/disable_ipv6", "0"},
};

// IPv4 first.
std::string AddressesText(spec::Ipv4 address, std::uint8_t prefix, const std::optional<Ipv6At>& v6) {
  std::string text = spec::Format(address) + "/" + std::to_string(prefix);
  if (v6) text += " " + spec::Format(v6->address) + "/" + std::to_string(v6->prefix);
  return text;
}

}  // namespace

MacAddress MacOf(spec::Ipv4 address) {
  const auto byte = [&](unsigned shift) { return static_cast<std::uint8_t>(address.value >> shift); };
  return {0x02, 0x6e, byte(24), byte(16), byte(8), byte(0)};
}

std::string Format(const MacAddress& mac) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text(3 * mac.size() - 1, ':');
  for (std::size_t i = 0; i < mac.size(); ++i) {
    text[3 * i] = kDigits[mac[i] >> 4];
    text[3 * i + 1] = kDigits[mac[i] & 15];
  }
  return text;
}

std::span<const Setting> NetnsSysctls(bool nested) {
  return nested ? std::span<const Setting>(kNestedSysctls) : kNetnsSysctls;
}
std::span<const Setting> UserspaceSysctls() {
  return kUserspaceSysctls;
}
std::span<const Setting> NewLinkSysctls(bool v6) {
  return v6 ? std::span<const Setting>(kIpv6Sysctls) : kNoIpv6Sysctls;
}
std::span<const Setting> BridgeSysctls(bool v6) {
  return v6 ? std::span<const Setting>(kDualBridgeSysctls) : kBridgeSysctls;
}
std::span<const Setting> NetnsSettingsInFiles() {
  static const auto in_files = [] {
    std::vector<Setting> settings;
    for (const auto& setting : kNetnsSysctls) {
      if (setting.first != kForwardSetting && !SaysHowLinksBegin(setting)) settings.push_back(setting);
    }
    return settings;
  }();
  return in_files;
}
std::span<const Setting> Ipv4LinkSysctls() {
  return kIpv4LinkSysctls;
}
std::span<const Setting> Ipv6LinkSysctls() {
  return kIpv6LinkSysctls;
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
  for (const auto& setting : settings) {
    if (!SaysHowLinksBegin(setting)) facts.emplace(SettingName(setting.first), setting.second);
  }
  return facts;
}

}  // namespace

std::string InsideText(std::string_view addresses, const MacAddress& mac, std::uint32_t mtu, bool up) {
  std::string text;
  text.reserve(addresses.size() + 48);
  text.append(addresses).append(" mac ").append(Format(mac)).append(" mtu ").append(std::to_string(mtu));
  return text.append(up ? " up" : " down");
}

std::string HostEndText(std::string_view name, std::string_view bridge, std::uint32_t mtu, bool up, bool hairpin,
                        std::string_view alias) {
  std::string text;
  text.reserve(name.size() + bridge.size() + alias.size() + 48);
  text.append(name).append(" in ").append(bridge.empty() ? "no bridge" : bridge);
  text.append(" mtu ").append(std::to_string(mtu)).append(up ? " up" : " down");
  return text.append(hairpin ? " hairpin" : "").append(" alias ").append(alias);
}

std::string RouteText(const spec::IpAddress& gateway, std::string_view link) {
  return spec::Format(gateway) + " over " + std::string(link);
}

std::string NetworkFact(std::string_view network) {
  return "network " + std::string(network);
}

std::string HostnameFile(const NamesWanted& wanted) {
  return wanted.hostname + "\n";
}

void TellFacts(const BridgeWanted& wanted, FactSink& sink) {
  static const Facts plain = NamedSettings(BridgeSysctls(false));
  static const Facts dual = NamedSettings(BridgeSysctls(true));
  const Facts& settings = wanted.v6 ? dual : plain;
  sink.Fact("address", AddressesText(wanted.gateway, wanted.prefix, wanted.v6));
  sink.Fact("alias", wanted.alias);
  for (const auto& [name, value] : settings) sink.Fact(name, value);
  sink.Fact("learns of group frames", "no");
  sink.Fact("link", wanted.link);
  sink.Fact("mac", Format(MacOf(wanted.gateway)));
  sink.Fact("mtu", std::to_string(wanted.mtu));
  sink.Fact("type", "bridge");
  sink.Fact("up", "yes");
}

void TellFacts(const NetnsWanted& wanted, FactSink& sink) {
  static const Facts plain = NamedSettings(NetnsSysctls(false));
  static const Facts nested = NamedSettings(NetnsSysctls(true));
  const Facts& settings = wanted.nested ? nested : plain;
  const auto routed =
      std::ranges::find_if(wanted.attachments, [](const auto& attachment) { return attachment.gateway.has_value(); });
  if (routed != wanted.attachments.end())
    sink.Fact(std::string(kDefaultRoute), RouteText(*routed->gateway, NetworkFact(routed->network)));
  const auto routed6 =
      std::ranges::find_if(wanted.attachments, [](const auto& attachment) { return attachment.gateway6.has_value(); });
  if (routed6 != wanted.attachments.end())
    sink.Fact(std::string(kDefaultRoute6), RouteText(*routed6->gateway6, NetworkFact(routed6->network)));
  for (const auto& attachment : wanted.attachments) {
    const auto& [network, bridge, host_link, link, address, prefix, gateway, mtu, v6, gateway6] = attachment;
    const auto name = NetworkFact(network);
    sink.Fact(name, InsideText(AddressesText(address, prefix, v6), MacOf(address), mtu, true));
    sink.Fact(name + " host end", HostEndText(host_link, bridge, mtu, true, true, wanted.alias));
    if (!v6) continue;
    static const Facts link_settings = NamedSettings(Ipv6LinkSysctls());
    for (const auto& [setting, value] : link_settings) sink.Fact(name + " " + setting, value);
  }
  if (wanted.egress) {
    for (const auto& [name, value] : EgressFacts(ExpectedEgress(*wanted.egress))) sink.Fact(name, value);
  }
  for (const auto& [name, value] : settings) sink.Fact(name, value);
  sink.Fact("lo", "up");
  sink.Fact("pin", "mounted");
}

void TellFacts(const NamesWanted& wanted, FactSink& sink) {
  sink.Fact(kHostnameFile, Sha256::Of(HostnameFile(wanted)).Hex());
  sink.Fact(kHostsFile, Sha256::Of(wanted.hosts).Hex());
  sink.Fact(kResolvFile, Sha256::Of(wanted.resolv_conf).Hex());
}

}  // namespace nucleus
