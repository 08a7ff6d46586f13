// The bridge of a network: a link with the gateway's address.
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>

#include "actuators/netns/inside.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/machine_lock.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

Result<Link> FindOrCreate(Netlink& netlink, const BridgeWanted& wanted, bool& created) {
  auto link = TRY(GetLink(netlink, wanted.link));
  if (link && link->kind != "bridge") {
    if (!link->alias.starts_with("nucleus:")) {
      return Fail(ErrorCode::kConflict, "create bridge", wanted.link, "there is another link of that name");
    }
    TRY(DeleteLink(netlink, link->index, link->name));
    link.reset();
  }
  if (!link) {
    TRY(CreateBridge(netlink, wanted.link, MacOf(wanted.gateway)));
    created = true;
    link = TRY(GetLink(netlink, wanted.link));
  }
  if (!link) return Fail(ErrorCode::kConflict, "create bridge", wanted.link, "it vanished at once");
  return *std::move(link);
}

Result<> Configure(Netlink& netlink, const BridgeWanted& wanted, const Link& link) {
  LinkChange target;
  target.alias = wanted.alias;
  target.mac = MacOf(wanted.gateway);
  target.mtu = wanted.mtu;
  TRY(ChangeLink(netlink, link.index, link.name, Difference(link, target)));
  if (link.learns_of_groups) TRY(DenyGroupLearning(netlink, link.index, link.name));
  // Before it is up: it never listens to a router advertisement.
  TRY(WriteSysctls(BridgeSysctls(wanted.v6.has_value()), link.name));
  TRY(SetAddresses(netlink, link.index, link.name, wanted.gateway, wanted.prefix, wanted.v6));
  if (wanted.v6) TRY(AddLinkLocalAddress(netlink, link.index, link.name, MacOf(wanted.gateway)));
  LinkChange up;
  up.up = true;
  TRY(ChangeLink(netlink, link.index, link.name, Difference(link, up)));
  const auto lost = TRY(LostRoutesOf(netlink, link));
  return RestoreRoutes(netlink, lost);
}

template <class Net, class Address>
bool Meets(const Net& net, const spec::IpAddress& address, std::uint8_t prefix) {
  const auto* own = std::get_if<Address>(&address);
  return own != nullptr && spec::Overlap(net, Net{*own, prefix});
}

// Whether two aliases, by LinkAlias(), are of bridges of one topology. What is started by hand has one each.
bool OfOneTopology(std::string_view a, std::string_view b) {
  const auto project = a.substr(0, a.find('/') + 1);
  return b.starts_with(project) && project != "nucleus:" + std::string(kContainersProject) + "/";
}

// Whoever has another runtime directory, or another state directory, may have chosen the same at the same moment.
Result<> CheckOthers(Netlink& netlink, const BridgeWanted& wanted) {
  const spec::Ipv4Net net{wanted.gateway, wanted.prefix};
  const auto bridges = TRY(DumpLinks(netlink, "bridge"));
  for (const auto& address : TRY(DumpAddresses(netlink, 0, AF_UNSPEC))) {
    const bool meets = Meets<spec::Ipv4Net, spec::Ipv4>(net, address.address, address.prefix) ||
                       (wanted.v6 && Meets<spec::Ipv6Net, spec::Ipv6>({wanted.v6->address, wanted.v6->prefix},
                                                                      address.address, address.prefix));
    const auto other = std::ranges::find(bridges, address.index, &Link::index);
    if (!meets || other == bridges.end() || !other->alias.starts_with("nucleus:")) continue;
    // One of the same topology is this one, or goes for it.
    if (other->alias == wanted.alias || OfOneTopology(other->alias, wanted.alias)) continue;
    return Fail(Error::Of(ErrorCode::kConflict, "take subnet for", wanted.link,
                          spec::Format(address.address) + "/" + std::to_string(address.prefix) + " is of " +
                              other->alias.substr(std::string_view("nucleus:").size()))
                    .Hint("name another subnet, or destroy it and apply it again: another one is chosen then"));
  }
  return {};
}

Result<bool> HasAddresses(Netlink& netlink, const BridgeWanted& wanted, const Link& link) {
  const auto all = TRY(DumpAddresses(netlink, link.index, AF_UNSPEC));
  const auto has = [&](const spec::IpAddress& address, std::uint8_t prefix) {
    return std::ranges::any_of(all, [&](const auto& one) { return one.address == address && one.prefix == prefix; });
  };
  return has(wanted.gateway, wanted.prefix) && (!wanted.v6 || has(wanted.v6->address, wanted.v6->prefix));
}

// One that is given its addresses: made just now, or by a command that was killed before it came to that.
Result<> ConfigureNew(Netlink& netlink, const BridgeWanted& wanted, const Link& link, const sys::LockWait& wait) {
  const auto lock = TRY(sys::TakeMachineLock(sys::MachineLock::kBridges, wait));
  TRY(CheckOthers(netlink, wanted));
  return Configure(netlink, wanted, link);
}

}  // namespace

Result<> ApplyBridge(const BridgeWanted& wanted, AliasIndex& aliases, const sys::LockWait& wait) {
  if (wanted.v6 && !HasIpv6()) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "give IPv6 to bridge", wanted.link, "this kernel has none")
                    .Hint("leave out subnet6, or start the kernel without ipv6.disable=1"));
  }
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  // What somebody renamed still has our alias, and with it the gateway's address; what somebody made like it may.
  TRY(DeleteByAlias(netlink, aliases, "bridge", wanted.alias, {wanted.link}));
  aliases.Add(wanted.alias, wanted.link);
  bool created = false;
  auto link = FindOrCreate(netlink, wanted, created);
  const auto configure = [&]() -> Result<> {
    if (!link) return Fail(link.error());
    const bool settled = !created && TRY(HasAddresses(netlink, wanted, *link));
    return settled ? Configure(netlink, wanted, *link) : ConfigureNew(netlink, wanted, *link, wait);
  };
  auto done = configure();
  // Half a bridge is nobody's use; the first error is the one to tell.
  if (!done && created && link) (void)DeleteLink(netlink, link->index, link->name);
  return done;
}

Result<> UndoBridge(const std::string& name, const std::string& alias, AliasIndex& aliases) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  const auto link = TRY(GetLink(netlink, name));
  // A name of ours is a hash; a link that has it by accident would hardly be a bridge.
  if (link && link->kind == "bridge") TRY(DeleteLink(netlink, link->index, link->name));
  return DeleteByAlias(netlink, aliases, "bridge", alias, {});
}

}  // namespace nucleus::netns
