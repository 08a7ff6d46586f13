// The network namespace of a service: pinned by a bind mount, with a veth into the bridge of each of its networks.
//
// Mount propagation: the pin is an ordinary mount below the runtime directory, and follows what the host has decided
// for that place. Where it is shared (every systemd machine: mount_namespaces(7)), the pin appears in all mount
// namespaces that receive from the host, and disappears from them when it is unmounted; a private one would leave
// copies behind in every mount namespace made while it is there, each of which keeps the network namespace alive.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "actuators/netns/denials.hpp"
#include "actuators/netns/egress.hpp"
#include "actuators/netns/inside.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/sys/file.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

std::string Parent(const std::string& path) {
  return path.substr(0, path.rfind('/'));
}

// Takes down whatever is at the place of the pin. Mounts may lie on top of each other.
Result<> RemovePin(const std::string& path) {
  while (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) {
  }
  // EINVAL: nothing is mounted there.
  if (errno != EINVAL && errno != ENOENT && errno != ENOTDIR) return FailSys("unmount", path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT && errno != ENOTDIR) return FailSys("remove", path);
  return {};
}

Result<> CreatePin(const std::string& path) {
  // The last pin of a project that goes takes the directory with it, maybe just now.
  constexpr int kAttempts = 10;
  for (int attempt = 1;; ++attempt) {
    TRY(sys::MakeDirectories(Parent(path), 0700));
    auto file = sys::Open(path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
    if (file) break;
    if (file.error().sys_errno != ENOENT || attempt == kAttempts) return Fail(std::move(file).error());
  }
  // The thread's new namespace lives on in the mount when the thread is gone.
  return OnThread([&]() -> Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return FailSys("make network namespace", path);
    if (::mount("/proc/thread-self/ns/net", path.c_str(), nullptr, MS_BIND, nullptr) != 0) {
      return FailSys("pin network namespace", path);
    }
    return {};
  });
}

// The pin, made where it is missing or not what it should be.
Result<Pin> EnsurePin(const std::string& path, bool& created) {
  auto pin = OpenPin(path);
  if (pin && pin->state == PinState::kMounted) return pin;
  TRY(RemovePin(path));
  created = true;
  TRY(CreatePin(path));
  auto made = TRY(OpenPin(path));
  if (made.state != PinState::kMounted) {
    return Fail(ErrorCode::kInternal, "pin network namespace", path, "nothing is mounted there");
  }
  return made;
}

// Before it is up, where it is new: it never listens to a router advertisement.
Result<> SetIpv6(bool v6, const std::string& link) {
  if (v6) return WriteSysctls(Ipv6LinkSysctls(), link);
  // Of a link that had it once.
  static constexpr std::pair<std::string_view, std::string_view> kOff[] = {{"net/ipv6/conf/%/disable_ipv6", "1"}};
  return WriteSysctls(kOff, link);
}

// One attachment, from both sides. `inside` works in the namespace, `host` outside.
class Attacher {
 public:
  Attacher(Netlink& host, Netlink& inside, int namespace_fd, const std::string& alias)
      : host_(host), inside_(inside), namespace_fd_(namespace_fd), alias_(alias) {}

  Result<> Attach(const NetnsWanted::Attachment& wanted) {
    const auto bridge = TRY(GetLink(host_, wanted.bridge));
    if (!bridge || bridge->kind != "bridge") {
      return Fail(ErrorCode::kNotFound, "attach to bridge", wanted.bridge, "there is no such bridge");
    }
    auto outer = TRY(GetLink(host_, wanted.host_link));
    auto inner = TRY(GetLink(inside_, wanted.link));
    if (!outer || !inner || !IsAttachment(*inner, *outer)) {
      TRY(MakePair(wanted, bridge->index, outer, inner));
      outer = TRY(GetLink(host_, wanted.host_link));
      inner = TRY(GetLink(inside_, wanted.link));
      if (!outer || !inner) {
        return Fail(ErrorCode::kConflict, "create veth", wanted.host_link, "it vanished at once");
      }
      TRY(DenyIpv6Address(host_, outer->index, outer->name));
    }
    return Configure(wanted, *outer, *inner, bridge->index);
  }

 private:
  Result<> MakePair(const NetnsWanted::Attachment& wanted, int bridge, const std::optional<Link>& outer,
                    const std::optional<Link>& inner) {
    if (outer && outer->kind != "veth") {
      return Fail(ErrorCode::kConflict, "create veth", wanted.host_link, "there is another link of that name");
    }
    if (outer) TRY(DeleteLink(host_, outer->index, outer->name));
    if (inner) TRY(DeleteLink(inside_, inner->index, inner->name));
    VethEnds ends;
    ends.host_name = wanted.host_link;
    ends.host_master = bridge;
    ends.inside_name = wanted.link;
    ends.inside_mac = MacOf(wanted.address);
    ends.inside_namespace = namespace_fd_;
    ends.mtu = wanted.mtu;
    return CreateVeth(host_, ends);
  }

  Result<> Configure(const NetnsWanted::Attachment& wanted, const Link& outer, const Link& inner, int bridge) {
    LinkChange target;
    target.alias = alias_;
    target.mtu = wanted.mtu;
    target.master = bridge;
    target.up = true;
    TRY(ChangeLink(host_, outer.index, outer.name, Difference(outer, target)));

    if (!outer.hairpin || outer.master != bridge) TRY(SetHairpin(host_, outer.index, outer.name));

    LinkChange inside;
    inside.mac = MacOf(wanted.address);
    inside.mtu = wanted.mtu;
    TRY(ChangeLink(inside_, inner.index, inner.name, Difference(inner, inside)));
    TRY(SetIpv6(wanted.v6.has_value(), inner.name));
    TRY(SetAddresses(inside_, inner.index, inner.name, wanted.address, wanted.prefix, wanted.v6));
    LinkChange up;
    up.alias = inner.name;
    up.up = true;
    return ChangeLink(inside_, inner.index, inner.name, Difference(inner, up));
  }

  Netlink& host_;
  Netlink& inside_;
  int namespace_fd_;
  const std::string& alias_;
};

// The count is read once nothing is counted any more. Where somebody has made another table of it, it says nothing.
Result<> RemoveEgress(const DeniedSink& sink) {
  if (!TRY(ReadEgress(false)).present) return {};
  std::uint64_t last = 0;
  if (sink && RunNft(NoEgressRulesTransaction(), "remove", "egress rules")) {
    const auto denied = DeniedHere();
    if (denied && *denied) last = **denied;
  }
  TRY(RunNft(NoEgressTransaction(), "remove", "egress rules"));
  if (last != 0) sink(last);
  return {};
}

// As one transaction. What is right already is left alone: its counter goes on.
Result<> ApplyEgress(const EgressWanted& wanted) {
  const auto seen = TRY(ReadEgress(true));
  if (seen.present && seen.facts == EgressFacts(ExpectedEgress(wanted))) return {};
  const auto rules = seen.present && !seen.dormant ? EgressRulesTransaction(wanted, seen.state) : std::nullopt;
  return RunNft(rules ? *rules : EgressTransaction(wanted, seen.Denied()), "replace", "egress rules");
}

Result<> MarkLack(const std::string& mark) {
  auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
  const auto lo = TRY(GetLink(netlink, "lo"));
  LinkChange marked;
  marked.alias = mark;
  return lo ? ChangeLink(netlink, lo->index, lo->name, Difference(*lo, marked)) : Result<>();
}

// warn: with what is told, and gone on, where the rules cannot be had and may lack. Not where others are in force:
// those stay, and it is the error.
Result<> HoldEgress(const EgressWanted& wanted, const ProgressSink& warn) {
  auto held = ApplyEgress(wanted);
  if (held) return MarkLack("");
  if (!wanted.may_lack || !warn || !CannotBeHad(held.error()) || TRY(ReadEgress(false)).present) return held;
  const std::string why = held.error().Message();
  warn("egress rules: " + why + "; what it sends is not restricted");
  return MarkLack(LackMark(wanted, why));
}

Result<> HoldNoEgress(const DeniedSink& denied) {
  TRY(RemoveEgress(denied));
  return MarkLack("");
}

// What each attachment is called inside. Those that are there keep their names under the running workload; a new one
// gets that of its place among the networks, or where another has it, the first that is free.
Result<std::vector<std::string>> NamesInside(Netlink& host, const std::vector<Link>& links, const NetnsWanted& wanted) {
  std::vector<std::string> names;
  for (const auto& attachment : wanted.attachments) {
    names.emplace_back();
    if (std::ranges::find(links, "veth", &Link::kind) == links.end()) continue;
    const auto outer = TRY(GetLink(host, attachment.host_link));
    if (!outer) continue;
    const auto inner = std::ranges::find(links, outer->peer, &Link::index);
    if (inner != links.end() && IsAttachment(*inner, *outer)) names.back() = inner->name;
  }
  const auto is_free = [&](const std::string& name) { return std::ranges::find(names, name) == names.end(); };
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (!names[i].empty()) continue;
    std::string name = wanted.attachments[i].link;
    for (std::size_t number = 0; !is_free(name); ++number) name = "eth" + std::to_string(number);
    names[i] = std::move(name);
  }
  return names;
}

// As its program has made it. A link that is gone is made again by who keeps the program.
Result<> RepairUserspace(Netlink& inside, bool v6) {
  const auto snapshot = TRY(DumpAll(inside, v6));
  const Link* link = snapshot.Find(kUserspaceLink);
  if (!UserspaceFault(snapshot, v6)) return {};
  TRY(SetIpv6(v6, link->name));
  return SetUserspaceLink(inside, *link, v6);
}

// What there may be to mend of where packets go.
enum class Routing : std::uint8_t {
  kNew,        // nothing: it has just been made
  kOurs,       // all
  kWorkloads,  // what its links are given by us
};

Result<> MendRouting(Netlink& inside, Routing routing, const std::vector<Link>& attached) {
  if (routing == Routing::kOurs) return RepairRouting();
  if (routing == Routing::kNew) return {};
  for (const auto& link : attached) {
    const auto lost = TRY(LostRoutesOf(inside, link));
    TRY(RestoreRoutes(inside, lost));
  }
  return {};
}

// On a thread that is in the namespace.
Result<> Furnish(Netlink& host, const NetnsWanted& wanted, int namespace_fd, Routing routing, const ProgressSink& warn,
                 const DeniedSink& denied) {
  auto inside = TRY(Netlink::Open(NETLINK_ROUTE));
  TRY(WriteSysctls(NetnsSysctls(wanted.nested), ""));
  TRY(WriteSysctls(NewLinkSysctls(wanted.userspace_v6), ""));
  // Before anything leads out; and in the place of others at once, where links are up. None: once what they were for
  // leads nowhere any more.
  if (wanted.egress) TRY(HoldEgress(*wanted.egress, warn));
  const auto links = TRY(DumpLinks(inside));
  const auto names = TRY(NamesInside(host, links, wanted));
  for (const auto& link : links) {
    if (link.forwards || (link.kind == "veth" && link.takes_redirects)) TRY(WriteSysctls(Ipv4LinkSysctls(), link.name));
    LinkChange up;
    up.up = true;
    if (link.name == "lo") TRY(ChangeLink(inside, link.index, link.name, Difference(link, up)));
    const bool is_wanted = std::ranges::find(names, link.name) != names.end();
    if (link.kind == "veth" && !is_wanted) TRY(DeleteLink(inside, link.index, link.name));
  }
  if (wanted.userspace) {
    auto mended = MendRouting(inside, routing, {});
    TRY(RepairUserspace(inside, wanted.userspace_v6));
    if (!wanted.egress) TRY(HoldNoEgress(denied));
    return mended;
  }
  Attacher attacher(host, inside, namespace_fd, wanted.alias);
  std::optional<DefaultRoute> route, route6;
  std::vector<Link> attached;
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto attachment = wanted.attachments[i];
    attachment.link = names[i];
    TRY_IN("network " + attachment.network, attacher.Attach(attachment));
    const auto link = TRY(GetLink(inside, attachment.link));
    if (!link) continue;
    attached.push_back(*link);
    if (attachment.gateway && !route) route = DefaultRoute{*attachment.gateway, link->index};
    if (attachment.gateway6 && !route6) route6 = DefaultRoute{*attachment.gateway6, link->index};
  }
  std::vector<int> indices;
  std::ranges::transform(attached, std::back_inserter(indices), &Link::index);
  const bool has = TRY(DropRoutes(inside, route, indices, AF_INET));
  const bool has6 = TRY(DropRoutes(inside, route6, indices, AF_INET6));
  auto mended = MendRouting(inside, routing, attached);  // its error is told once all the rest is done
  if (!has) TRY(AddDefaultRoute(inside, *route));
  if (!has6) TRY(AddDefaultRoute(inside, *route6));
  if (!wanted.egress) TRY(HoldNoEgress(denied));
  return mended;
}

}  // namespace

Result<> ApplyNetns(const NetnsWanted& wanted, AliasIndex& aliases, const ProgressSink& warn,
                    const DeniedSink& denied) {
  auto host = TRY(Netlink::Open(NETLINK_ROUTE));
  std::vector<std::string> keep;
  for (const auto& attachment : wanted.attachments) {
    keep.push_back(attachment.host_link);
    aliases.Add(wanted.alias, attachment.host_link);
  }
  bool created = false;
  auto pin = EnsurePin(wanted.pin, created);
  const auto furnish = [&]() -> Result<> {
    const auto ours = wanted.routes_itself ? Routing::kWorkloads : Routing::kOurs;
    return Furnish(host, wanted, pin->fd.get(), created ? Routing::kNew : ours, warn, denied);
  };
  auto done = pin ? InNamespace(pin->fd, wanted.pin, furnish) : Result<>(Fail(pin.error()));
  if (done) return DeleteByAlias(host, aliases, "veth", wanted.alias, keep);
  // The first error is the one to tell; what was there before stays as far as it got.
  if (created) (void)UndoNetns(wanted.pin, wanted.alias, aliases);
  return done;
}

Result<> FurnishNetns(const sys::Fd& network, const NetnsWanted& wanted, AliasIndex& aliases,
                      const ProgressSink& warn) {
  auto host = TRY(Netlink::Open(NETLINK_ROUTE));
  for (const auto& attachment : wanted.attachments) aliases.Add(wanted.alias, attachment.host_link);
  return InNamespace(network, wanted.alias,
                     [&] { return Furnish(host, wanted, network.get(), Routing::kNew, warn, {}); });
}

Result<> RestrictNetns(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn) {
  return InNamespace(network, "egress rules", [&]() -> Result<> {
    TRY(WriteSysctls(UserspaceSysctls(), ""));
    TRY(WriteSysctls(NewLinkSysctls(wanted.userspace_v6), ""));
    return wanted.egress ? HoldEgress(*wanted.egress, warn) : HoldNoEgress({});
  });
}

Result<> UndoNetns(const std::string& pin, const std::string& alias, AliasIndex& aliases) {
  auto host = TRY(Netlink::Open(NETLINK_ROUTE));
  // First, and not left to the end of the namespace: somebody may still hold that, and then the veth stays.
  TRY(DeleteByAlias(host, aliases, "veth", alias, {}));
  TRY(RemovePin(pin));
  sys::RemoveIfEmpty(Parent(pin), 1);
  return {};
}

}  // namespace nucleus::netns
