#include "actuators/netns/host_view.hpp"

#include <algorithm>
#include <filesystem>

namespace nucleus::netns {

Result<HostView> HostView::Take() {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  Snapshot snapshot;
  snapshot.links = TRY(DumpLinks(netlink));
  snapshot.addresses = TRY(DumpAddresses(netlink, 0, AF_UNSPEC));
  return HostView(std::move(snapshot));
}

Result<HostView> HostView::Take(const std::set<std::string>& names) {
  Snapshot snapshot;
  if (names.empty()) return HostView(std::move(snapshot));
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  for (const auto& name : names) {
    auto link = TRY(GetLink(netlink, name));
    if (!link) continue;
    if (link->kind == "bridge") {
      for (const auto& address : TRY(DumpAddresses(netlink, link->index, AF_UNSPEC)))
        snapshot.addresses.push_back(address);
    }
    snapshot.links.push_back(*std::move(link));
  }
  return HostView(std::move(snapshot));
}

bool HasIpv6Address(const Snapshot& snapshot, int link) {
  return std::ranges::any_of(snapshot.addresses, [&](const LinkAddress& address) {
    return address.index == link && std::holds_alternative<spec::Ipv6>(address.address);
  });
}

std::optional<Address> OwnerOf(const Link& link, std::string_view project) {
  const std::string tag = std::string(kAliasTag) + std::string(project) + "/";
  if (!link.alias.starts_with(tag)) return std::nullopt;
  auto address = Address::Parse(std::string_view(link.alias).substr(tag.size()));
  if (!address) return std::nullopt;
  return *std::move(address);
}

std::vector<Address> PinnedServices(const Directories& directories, const std::string& project) {
  std::vector<Address> found;
  std::error_code code;
  const std::string directory =
      std::filesystem::path(directories.NetnsPin(project, {Kind::kService, "x"})).parent_path();
  for (std::filesystem::directory_iterator it(directory, code), end; !code && it != end; it.increment(code)) {
    const auto address = Address::Parse(it->path().filename().string());
    if (address && IsService(*address)) found.push_back(*address);
  }
  return found;
}

}  // namespace nucleus::netns
