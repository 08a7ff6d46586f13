// The four parts against the real kernel, in namespaces of their own.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <iostream>
#include <thread>

#include "actuators/netns/denials.hpp"
#include "actuators/netns/egress_names.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/testing.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/mountinfo.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {
namespace {

using testing::Project;
using testing::Site;

#define OK(...)                                                        \
  do {                                                                 \
    const auto& ok_result = (__VA_ARGS__);                             \
    ASSERT_TRUE(ok_result.has_value()) << ok_result.error().Message(); \
  } while (false)

// By value: a range-for would outlive the Result that it looks into.
template <class T>
T Taken(Result<T> result) {
  return std::move(result).value();
}

class NetnsHost : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::Isolated()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for namespaces of its own";
    before_ = World();
  }
  void TearDown() override {
    if (!testing::Isolated()) return;
    OK(site_.Undo(shop_));
    OK(site_.Undo(shop_));  // of the absent
    EXPECT_EQ(World(), before_);
    EXPECT_EQ(site_.Probe(shop_).size(), shop_.parts().size());
    for (const auto& [key, now] : site_.Probe(shop_)) EXPECT_EQ(now.presence, Presence::kAbsent) << key.Text();
  }

  // Everything of the kernel's that this folder could leave behind.
  static std::string World() {
    std::string text;
    auto netlink = Netlink::Open(NETLINK_ROUTE);
    for (const auto& link : Taken(DumpLinks(*netlink))) text += "link " + link.name + " " + link.alias + "\n";
    for (const auto& route : Taken(DumpRoutes(*netlink))) text += "route " + spec::Format(route.to) + "\n";
    for (const auto family : {TableFamily::kInet, TableFamily::kBridge}) {
      for (const auto& table : Taken(DumpTables(family))) text += "table " + table.name + "\n";
    }
    for (const auto& mount : Taken(sys::ReadMountinfo())) text += "mount " + mount.mount_point + "\n";
    return text + "ip_forward " + sys::ReadFile("/proc/sys/net/ipv4/ip_forward").value();
  }

  void Small() {
    shop_.Network("front", "10.77.1.0/24").Network("back", "10.77.2.0/24", true);
    shop_.Service("web", {{"front", "10.77.1.2"}, {"back", "10.77.2.2"}}).Service("db", {{"back", "10.77.2.3"}});
    shop_.Publish("web", "8080:80");
  }

  // What was broken is noticed under its name, and repaired.
  void ExpectRepair(const std::string& what) {
    const auto drift = site_.Drift(shop_);
    EXPECT_NE(drift.find(what), std::string::npos) << "expected \"" << what << "\" in:\n" << drift;
    OK(site_.Apply(shop_));
    EXPECT_EQ(site_.Drift(shop_), "") << "after repair of " << what;
  }

  static Link HostLink(const std::string& name) {
    auto netlink = Netlink::Open(NETLINK_ROUTE);
    return GetLink(*netlink, name).value().value_or(Link{});
  }
  static Result<> OnHost(const std::function<Result<>(Netlink&)>& change) {
    auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
    return change(netlink);
  }
  Result<> InService(const std::string& service, const std::function<Result<>(Netlink&)>& change) {
    return testing::RunInside(shop_.Pin(service), [&] { return OnHost(change); });
  }
  static std::uint64_t Inode(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? status.st_ino : 0;
  }

  Site site_;
  Project shop_{site_.directories, "shop"};
  std::string before_;
};

TEST_F(NetnsHost, WhatWasAppliedIsWhatIsObserved) {
  Small();
  OK(site_.Apply(shop_));
  EXPECT_EQ(site_.Drift(shop_), "");
}

TEST_F(NetnsHost, ASecondApplyChangesNothing) {
  Small();
  OK(site_.Apply(shop_));
  const auto bridge = HostLink(BridgeLink("shop", "front")).index;
  const auto veth = HostLink(VethLink("shop", {Kind::kService, "web"}, "front")).index;
  const auto pin = Inode(shop_.Pin("web"));
  OK(site_.Apply(shop_));
  EXPECT_EQ(site_.Drift(shop_), "");
  EXPECT_EQ(HostLink(BridgeLink("shop", "front")).index, bridge);
  EXPECT_EQ(HostLink(VethLink("shop", {Kind::kService, "web"}, "front")).index, veth);
  EXPECT_EQ(Inode(shop_.Pin("web")), pin);
}

TEST_F(NetnsHost, BridgeDriftIsNoticedAndRepairedInPlace) {
  Small();
  OK(site_.Apply(shop_));
  const std::string name = BridgeLink("shop", "front");
  const int index = HostLink(name).index;
  const auto change = [&](const std::function<void(LinkChange&)>& set) {
    LinkChange c;
    set(c);
    return OnHost([&](Netlink& netlink) { return ChangeLink(netlink, index, name, c); });
  };
  OK(change([](LinkChange& c) { c.mtu = 1400; }));
  ExpectRepair("network.front/bridge: mtu: 1500 -> 1400");
  OK(change([](LinkChange& c) { c.up = false; }));
  ExpectRepair("network.front/bridge: up: yes -> no");
  OK(change([](LinkChange& c) { c.alias = "nucleus:shop/network.front2"; }));
  ExpectRepair("network.front/bridge: alias:");
  OK(change([](LinkChange& c) { c.mac = MacAddress{2, 0, 0, 0, 0, 9}; }));
  ExpectRepair("network.front/bridge: mac:");
  OK(OnHost([&](Netlink& n) { return SetAddresses(n, index, name, spec::Ipv4{0x0a4d0109}, 24); }));
  ExpectRepair("network.front/bridge: address: 10.77.1.1/24 -> 10.77.1.9/24");
  OK(sys::WriteKernelFile("/proc/sys/net/ipv4/conf/" + name + "/route_localnet", "0"));
  ExpectRepair("network.front/bridge: ipv4.conf.route_localnet: 1 -> 0");
  EXPECT_EQ(HostLink(name).index, index);

  OK(OnHost([&](Netlink& n) { return DeleteLink(n, index, name); }));
  ExpectRepair("network.front/bridge: absent");  // and its ports are put back into it
}

TEST_F(NetnsHost, NetnsDriftIsNoticedAndRepairedInPlace) {
  Small();
  OK(site_.Apply(shop_));
  const std::string veth = VethLink("shop", {Kind::kService, "web"}, "front");
  const auto pin = Inode(shop_.Pin("web"));
  const auto inside = [&](const std::function<Result<>(Netlink&, const Link&)>& change) {
    return InService("web", [&](Netlink& n) -> Result<> { return change(n, *TRY(GetLink(n, "eth0"))); });
  };
  OK(OnHost([&](Netlink& n) { return DeleteLink(n, HostLink(veth).index, veth); }));
  ExpectRepair("service.web/netns: network front host end:");
  OK(OnHost([&](Netlink& n) {
    LinkChange c;
    c.master = 0;
    return ChangeLink(n, HostLink(veth).index, veth, c);
  }));
  ExpectRepair("in no bridge");
  OK(OnHost([&](Netlink& n) {
    LinkChange c;
    c.up = false;
    return ChangeLink(n, HostLink(veth).index, veth, c);
  }));
  ExpectRepair("service.web/netns: network front host end:");
  OK(inside([](Netlink& n, const Link& l) { return SetAddresses(n, l.index, l.name, spec::Ipv4{0x0a4d0163}, 24); }));
  ExpectRepair("service.web/netns: network front: 10.77.1.2/24");
  OK(inside([](Netlink& n, const Link& l) {
    LinkChange c;
    c.up = false;
    return ChangeLink(n, l.index, l.name, c);
  }));
  ExpectRepair("service.web/netns: default route: 10.77.1.1 over network front -> (none)");
  OK(inside([](Netlink& n, const Link&) { return testing::DropDefaultRoute(n); }));
  ExpectRepair("service.web/netns: default route:");
  OK(inside([](Netlink& n, const Link&) {
    LinkChange c;
    c.up = false;
    return ChangeLink(n, 1, "lo", c);
  }));
  ExpectRepair("service.web/netns: lo: up -> down");
  OK(testing::RunInside(shop_.Pin("web"),
                        [] { return sys::WriteKernelFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", "1024"); }));
  ExpectRepair("service.web/netns: ipv4.ip_unprivileged_port_start: 0 -> 1024");
  EXPECT_EQ(Inode(shop_.Pin("web")), pin) << "the workload would have lost its namespace";
}

TEST_F(NetnsHost, HalfMadePinsAreRepaired) {
  Small();
  OK(site_.Apply(shop_));
  const auto pin = shop_.Pin("web");
  ASSERT_EQ(::umount2(pin.c_str(), MNT_DETACH), 0);
  ExpectRepair("service.web/netns: pin: mounted -> a file without a namespace");
  ASSERT_EQ(::umount2(pin.c_str(), MNT_DETACH), 0);
  ASSERT_EQ(::unlink(pin.c_str()), 0);
  ExpectRepair("service.web/netns: ");
  ASSERT_EQ(::mount("/proc/self/ns/uts", pin.c_str(), nullptr, MS_BIND, nullptr), 0);
  ExpectRepair("service.web/netns: pin: mounted -> not a network namespace of its own");
  ASSERT_EQ(::mount("/proc/self/ns/net", pin.c_str(), nullptr, MS_BIND, nullptr), 0);
  ExpectRepair("service.web/netns: pin: mounted -> not a network namespace of its own");
}

TEST_F(NetnsHost, InterfacesKeepTheirNamesWhileNetworksComeAndGo) {
  Small();
  shop_.Network("side", "10.77.3.0/24");
  OK(site_.Apply(shop_));
  const auto pin = Inode(shop_.Pin("web"));
  auto& web = shop_.Get<NetnsWanted>("service.web/netns");
  // "front eth0 back eth1"
  const auto names = [&] {
    std::string text;
    std::map<std::string, int> outer_index;
    for (const auto& attachment : web.attachments)
      outer_index[attachment.network] = HostLink(attachment.host_link).index;
    EXPECT_TRUE(InService("web", [&](Netlink& inside) -> Result<> {
      for (const auto& link : TRY(DumpLinks(inside, "veth"))) {
        for (const auto& attachment : web.attachments) {
          if (outer_index.at(attachment.network) == link.peer) text += attachment.network + " " + link.name + " ";
        }
      }
      return {};
    }));
    return text;
  };
  // As the planner asks for them: each by its place.
  const auto wanted = [&](std::vector<NetnsWanted::Attachment> attachments) {
    for (std::size_t i = 0; i < attachments.size(); ++i) attachments[i].link = "eth" + std::to_string(i);
    web.attachments = std::move(attachments);
  };
  const auto front = web.attachments[0], back = web.attachments[1];
  auto side = front;
  side.network = "side";
  side.bridge = BridgeLink("shop", "side");
  side.host_link = VethLink("shop", {Kind::kService, "web"}, "side");
  side.address = spec::ParseIpv4("10.77.3.2").value();
  side.gateway.reset();
  EXPECT_EQ(names(), "front eth0 back eth1 ");
  wanted({back});
  ExpectRepair("service.web/netns: network front: ");
  EXPECT_EQ(names(), "back eth1 ");
  wanted({back, side});  // by its place eth1, which another one has
  ExpectRepair("service.web/netns: network side: ");
  EXPECT_EQ(names(), "back eth1 side eth0 ");
  wanted({side, front, back});
  ExpectRepair("service.web/netns: network front: ");
  EXPECT_EQ(names(), "back eth1 side eth0 front eth2 ");
  wanted({});
  ExpectRepair("service.web/netns: network front: ");
  wanted({front, back});
  ExpectRepair("service.web/netns: network front: ");
  EXPECT_EQ(names(), "front eth0 back eth1 ");
  EXPECT_EQ(Inode(shop_.Pin("web")), pin);
}

TEST_F(NetnsHost, AnAttachmentThatIsNoLongerWantedGoes) {
  Small();
  OK(site_.Apply(shop_));
  auto& web = shop_.Get<NetnsWanted>("service.web/netns");
  web.attachments.pop_back();
  ExpectRepair("service.web/netns: network back: ");
  EXPECT_EQ(HostLink(VethLink("shop", {Kind::kService, "web"}, "back")).index, 0);
  web.attachments.clear();
  ExpectRepair("service.web/netns: default route:");
}

TEST_F(NetnsHost, WhatCarriesOurTagsIsFoundAndOthersAreNot) {
  Small();
  OK(site_.Apply(shop_));
  Project longer(site_.directories, "shop2");
  longer.Network("front", "10.77.9.0/24").Service("web", {{"front", "10.77.9.2"}});
  OK(site_.Apply(longer));
  Project nothing(site_.directories, "shop");
  EXPECT_EQ(site_.Drift(nothing),
            "topology/firewall: leftover\nnetwork.back/bridge: leftover\nnetwork.front/bridge: leftover\n"
            "service.db/netns: leftover\nservice.web/netns: leftover\n");
  OK(site_.Undo(shop_));
  EXPECT_EQ(site_.Drift(longer), "");
  OK(site_.Undo(longer));
}

// ---- the firewall's drift ----

// The handle of the rule with that comment, as nft lists it: of several, in several chains, the last one's.
std::string HandleOf(const std::string& table, const std::string& name) {
  const auto json = ListTableJson(table).value().value();
  const auto handle = json.rfind("\"handle\": ", json.rfind(name + "\"")) + 10;
  return json.substr(handle, json.find_first_of(",}", handle) - handle);
}

TEST_F(NetnsHost, FirewallDriftIsNoticedByName) {
  Small();
  OK(site_.Apply(shop_));
  const auto table = FirewallTable("shop");
  const auto nft = [](const std::string& command) { return RunNft(command, "test", command); };
  const auto back = BridgeLink("shop", "back");  // the name of its chain as well
  OK(nft("delete rule inet " + table + " " + back + " handle " + HandleOf(table, "rule forward back no way out")));
  ExpectRepair("topology/firewall: rule forward back no way out: ");
  OK(nft("replace rule inet " + table + " output handle " + HandleOf(table, "port service.web 8080/tcp") +
         " tcp dport 8081 accept comment \"9 port service.web 8080/tcp\""));
  ExpectRepair("topology/firewall: port service.web 8080/tcp:");
  OK(nft("insert rule inet " + table + " forward accept"));
  ExpectRepair("rule forward (unnamed): (none) -> forward: accept");
  OK(nft("add chain inet " + table + " stranger { type filter hook input priority 0; policy drop; }"));
  ExpectRepair("topology/firewall: chain stranger: (none) -> filter input 0 drop");
  OK(nft("delete rule inet " + table + " input handle " + HandleOf(table, "rule input back no way to the host")));
  ExpectRepair("topology/firewall: rule input back no way to the host: input: iifname");
  OK(nft("add set inet " + table + " friends { type ipv4_addr; }"));
  ExpectRepair("topology/firewall: set friends ipv4_addr: (none) -> present");
  const auto same = "rule forward back same bridge";
  OK(nft("delete rule inet " + table + " " + back + " handle " + HandleOf(table, same) + "\nadd rule inet " + table +
         " " + back + " oifname \"" + back + "\" accept comment \"6 " + same + "\""));
  ExpectRepair("topology/firewall: order of rules");
  OK(nft("delete table inet " + table));
  ExpectRepair("topology/firewall: absent");
  OK(sys::WriteKernelFile("/proc/sys/net/ipv4/ip_forward", "0"));
  ExpectRepair("topology/firewall: ip_forward: 1 -> 0");
}

TEST_F(NetnsHost, ForwardingIsRestoredByTheLastProject) {
  const auto forwarding = [] { return sys::ReadFile("/proc/sys/net/ipv4/ip_forward").value(); };
  Small();
  Project other(site_.directories, "other");
  other.Network("n", "10.77.8.0/24");
  ASSERT_EQ(forwarding(), "0\n");
  OK(site_.Apply(shop_));
  OK(site_.Apply(other));
  EXPECT_EQ(forwarding(), "1\n");
  OK(site_.Undo(shop_));
  EXPECT_EQ(forwarding(), "1\n");
  OK(site_.Apply(other));
  OK(site_.Undo(other));
  EXPECT_EQ(forwarding(), "0\n");
  // A host that forwards anyway is left forwarding.
  OK(sys::WriteKernelFile("/proc/sys/net/ipv4/ip_forward", "1"));
  OK(site_.Apply(shop_));
  OK(site_.Undo(shop_));
  EXPECT_EQ(forwarding(), "1\n");
  OK(sys::WriteKernelFile("/proc/sys/net/ipv4/ip_forward", "0"));
  // One whose networks have no way out does not touch it.
  Project closed(site_.directories, "closed");
  closed.Network("n", "10.77.7.0/24", true);
  OK(site_.Apply(closed));
  EXPECT_EQ(forwarding(), "0\n");
  EXPECT_EQ(site_.Drift(closed), "");
  OK(site_.Undo(closed));
}

// ---- propagation ----

TEST_F(NetnsHost, PinsComeAndGoInMountNamespacesThatReceiveFromTheHost) {
  ASSERT_EQ(::mount(nullptr, "/run", nullptr, MS_SHARED, nullptr), 0);
  Small();
  // A supervisor's view, say, taken before the pin is there: a thread in a mount namespace that receives.
  std::atomic<int> phase = 0;
  const auto reached = [&](int until) {
    while (phase < until) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  bool seen = false, seen_later = false;
  std::jthread receiver([&] {
    if (::unshare(CLONE_FS | CLONE_NEWNS) != 0) return;
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return;
    const auto mounted = [&] {
      for (const auto& mount : Taken(sys::ReadMountinfo("/proc/thread-self/mountinfo"))) {
        if (mount.mount_point == shop_.Pin("web")) return true;
      }
      return false;
    };
    phase = 1;
    reached(2);
    seen = mounted();
    phase = 3;
    reached(4);
    seen_later = mounted();
  });
  reached(1);
  EXPECT_TRUE(site_.Apply(shop_));
  phase = 2;
  reached(3);
  EXPECT_TRUE(site_.Undo(shop_));
  phase = 4;
  receiver.join();
  EXPECT_TRUE(seen);
  EXPECT_FALSE(seen_later) << "the network namespace would live on in there";
  ASSERT_EQ(::mount(nullptr, "/run", nullptr, MS_PRIVATE, nullptr), 0);
}

// ---- names ----

TEST_F(NetnsHost, NamesAreRewrittenInPlace) {
  NamesWanted names;
  names.directory = site_.directories.ServiceDir("shop", {Kind::kService, "web"});
  names.hosts = "127.0.0.1 localhost\n";
  names.resolv_conf = "nameserver 192.0.2.53\n";
  names.hostname = "web";
  const PartKey key{"shop", {Kind::kService, "web"}, Part::kNames};
  shop_.parts()[key] = names;
  OK(site_.Apply(shop_));
  EXPECT_EQ(site_.Drift(shop_), "");
  const auto path = names.directory + "/hosts";
  const auto inode = Inode(path);
  shop_.Get<NamesWanted>("service.web/names").hosts += "10.77.2.3 db\n";
  ExpectRepair("service.web/names: hosts:");
  EXPECT_EQ(Inode(path), inode) << "the container would keep seeing the old file";
  EXPECT_EQ(sys::ReadFile(path).value(), "127.0.0.1 localhost\n10.77.2.3 db\n");
  EXPECT_EQ(sys::ReadFile(names.directory + "/hostname").value(), "web\n");
  ASSERT_EQ(::unlink(path.c_str()), 0);
  ExpectRepair("service.web/names: hosts:");
}

// ---- cost ----

// A service whose rules let a name through. Nobody answers at its name server.
class NetnsNames : public NetnsHost {
 protected:
  void SetUp() override {
    NetnsHost::SetUp();
    if (IsSkipped()) return;
    shop_.Network("front", "10.77.1.0/24").Service("web", {{"front", "10.77.1.2"}});
    wanted_.resolvers = {*spec::ParseIpv4("10.77.1.1")};
    wanted_.domains = {"a.example"};
    shop_.Get<NetnsWanted>("service.web/netns").egress = wanted_;
    OK(site_.Apply(shop_));
  }
  Result<> Nft(const std::string& commands) {
    return testing::RunInside(shop_.Pin("web"), [&] { return RunNft(commands, "test", "rules"); });
  }
  EgressWanted wanted_;
};

TEST_F(NetnsNames, WhatASetHoldsIsNoDriftButTheSetIs) {
  EXPECT_EQ(site_.Drift(shop_), "");
  OK(Nft("add element inet nucleus_egress domains { 203.0.113.1 timeout 60s, 203.0.113.2 timeout 60s }"));
  EXPECT_EQ(site_.Drift(shop_), "");
  OK(Nft("delete table inet nucleus_egress"));
  EXPECT_NE(site_.Drift(shop_), "");
  OK(site_.Apply(shop_));
  EXPECT_EQ(site_.Drift(shop_), "");
}

TEST_F(NetnsNames, ANameThatStandsForNothingIsToldOrRefused) {
  const auto pin = Taken(OpenPin(shop_.Pin("web")));
  std::vector<std::string> told;
  const auto tell = [&](const Error& error) { told.push_back(error.Message()); };
  OK(EgressNames::Start(pin.fd, wanted_, tell));
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told.front().find("a.example"), std::string::npos);
  wanted_.domains_must_resolve = true;
  const auto refused = EgressNames::Start(pin.fd, wanted_, tell);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().Message().find("a.example"), std::string::npos);
}

TEST_F(NetnsNames, WhatIsDeniedIsCounted) {
  const auto pin = Taken(OpenPin(shop_.Pin("web")));
  EXPECT_EQ(Taken(DeniedIn(pin.fd)), 0U);
  EXPECT_EQ(testing::AskOnce(shop_.Pin("web"), "10.77.1.1", 9, true), "");
  EXPECT_GT(Taken(DeniedIn(pin.fd)), 0U);
  const auto listed = DeniedIn(std::vector<std::string>{shop_.Pin("web"), "/nowhere", "/proc/self/ns/net"});
  EXPECT_GT(listed[0], 0U);
  EXPECT_EQ(listed[1], std::nullopt);
  EXPECT_EQ(listed[2], std::nullopt);
}

double Milliseconds(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

TEST_F(NetnsHost, HundredServicesAreCheap) {
  shop_.Network("front", "10.77.0.0/16");
  for (int i = 0; i < 100; ++i) {
    shop_.Service("s" + std::to_string(i), {{"front", "10.77.1." + std::to_string(i + 2)}});
  }
  const double made = Milliseconds([&] { OK(site_.Apply(shop_)); });
  const double again = Milliseconds([&] { OK(site_.Apply(shop_)); });
  const double probed = Milliseconds([&] { (void)site_.Probe(shop_); });
  EXPECT_EQ(site_.Drift(shop_), "");
  const double undone = Milliseconds([&] { OK(site_.Undo(shop_)); });
  RecordProperty("apply_ms", std::to_string(made));
  std::cout << "100 services: apply " << made << " ms, again " << again << " ms, probe " << probed << " ms, undo "
            << undone << " ms\n";
  // Far above what is seen, far below what a fork per object would cost here.
  EXPECT_LT(made, 3000);
  EXPECT_LT(probed, 500);
}

}  // namespace
}  // namespace nucleus::netns

int main(int argc, char** argv) {
  return nucleus::netns::testing::RunIsolated(argc, argv);
}
