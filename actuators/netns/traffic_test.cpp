// Who reaches whom: real packets between network namespaces, the host and the outside.
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "actuators/netns/in_use.hpp"
#include "actuators/netns/links.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/ports.hpp"
#include "actuators/netns/testing.hpp"
#include "actuators/sys/file.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {
namespace {

using testing::Ask;
using testing::AskOnce;
using testing::EchoServer;
using testing::Project;
using testing::Site;

constexpr const char* kHost = "";  // where the question is asked
constexpr const char* kHostOutside = "192.0.2.1";
constexpr const char* kOutside = "192.0.2.2";

// A shop with two open networks and a closed one, another project beside it, and a machine outside.
class NetnsTraffic : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::Isolated()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for namespaces of its own";
    shop_.Network("front", "10.77.1.0/24").Network("back", "10.77.2.0/24", true).Network("side", "10.77.3.0/24");
    shop_.Service("web", {{"front", "10.77.1.2"}, {"back", "10.77.2.2"}});
    shop_.Service("peer", {{"front", "10.77.1.3"}});
    shop_.Service("db", {{"back", "10.77.2.3"}});
    shop_.Service("aside", {{"side", "10.77.3.2"}});
    shop_.Service("local", {{"front", "10.77.1.4"}});
    shop_.Publish("web", "8080:80").Publish("local", "127.0.0.1:8081:80").Publish("peer", "192.0.2.1:8082:80");
    shop_.Publish("web", "8053:53/udp").Publish("db", "8083:80");
    rival_.Network("front", "10.77.8.0/24").Service("web", {{"front", "10.77.8.2"}});
    rival_.Publish("web", "9090:80");
    Done(site_.Apply(shop_));
    Done(site_.Apply(rival_));
    Done(testing::MakeOutside(outside_, kHostOutside, kOutside));
    for (const auto* service : {"web", "peer", "db", "aside", "local"}) Serve(shop_.Pin(service), "0.0.0.0", 80);
    Serve(rival_.Pin("web"), "0.0.0.0", 80);
    Serve(shop_.Pin("web"), "0.0.0.0", 53, true);
    Serve(outside_, "0.0.0.0", 80);
    // All links are up once each service has answered its gateway; from here on, no answer means no way.
    for (const auto* address :
         {"10.77.1.2", "10.77.1.3", "10.77.1.4", "10.77.2.3", "10.77.3.2", "10.77.8.2", kOutside}) {
      ASSERT_NE(Ask(kHost, address, 80), "") << address;
    }
  }
  void TearDown() override {
    if (!testing::Isolated()) return;
    servers_.clear();
    Done(site_.Undo(shop_));
    Done(site_.Undo(rival_));
    auto netlink = Netlink::Open(NETLINK_ROUTE);
    const auto links = DumpLinks(*netlink).value();
    for (const auto& link : links) {
      if (link.name.starts_with("outer")) Done(DeleteLink(*netlink, link.index, link.name));
    }
    ::unlink(outside_.c_str());
  }

  static void Done(const Result<>& result) { ASSERT_TRUE(result) << result.error().Message(); }
  void Serve(const std::string& pin, const std::string& address, int port, bool udp = false) {
    auto server = EchoServer::Start(pin, address, port, udp);
    ASSERT_TRUE(server) << server.error().Message();
    servers_.push_back(std::move(*server));
  }
  // A neighbour on the wire that sends packets for `subnet` to the host.
  void RouteFromOutside(const std::string& subnet) {
    Done(testing::RunInside(outside_, [&]() -> Result<> {
      auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
      const auto link = TRY(GetLink(netlink, "eth0"));
      const auto net = spec::ParseIpv4Net(subnet).value();
      rtmsg header{};
      header.rtm_family = AF_INET;
      header.rtm_dst_len = net.prefix;
      header.rtm_table = RT_TABLE_MAIN;
      header.rtm_type = RTN_UNICAST;
      header.rtm_protocol = RTPROT_STATIC;
      Message message(RTM_NEWROUTE, NLM_F_CREATE);
      message.Header(header).PutAddress(RTA_DST, net.base).Put(RTA_OIF, link->index);
      message.PutAddress(RTA_GATEWAY, spec::ParseIpv4(kHostOutside).value());
      return netlink.Do(message, "add route", subnet);
    }));
  }

  Site site_;
  Project shop_{site_.directories, "shop"};
  Project rival_{site_.directories, "rival"};
  std::string outside_ = "/run/test/outside";
  std::vector<std::unique_ptr<EchoServer>> servers_;
};

TEST_F(NetnsTraffic, ServicesOfANetworkReachEachOtherAndNobodyElse) {
  EXPECT_EQ(Ask(shop_.Pin("web"), "10.77.1.3", 80), "10.77.1.2");
  EXPECT_EQ(Ask(shop_.Pin("web"), "10.77.2.3", 80), "10.77.2.2");
  EXPECT_EQ(Ask(shop_.Pin("db"), "10.77.2.2", 80), "10.77.2.3");
  // Between networks of a project.
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), "10.77.3.2", 80), "");
  EXPECT_EQ(AskOnce(shop_.Pin("aside"), "10.77.1.2", 80), "");
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), "10.77.2.3", 80), "");
  EXPECT_EQ(AskOnce(shop_.Pin("db"), "10.77.1.3", 80), "");
  // Between projects.
  EXPECT_EQ(AskOnce(shop_.Pin("web"), "10.77.8.2", 80), "");
  EXPECT_EQ(AskOnce(rival_.Pin("web"), "10.77.1.2", 80), "");
  EXPECT_EQ(AskOnce(rival_.Pin("web"), "10.77.2.3", 80), "");
  // And each one itself.
  EXPECT_EQ(Ask(shop_.Pin("web"), "127.0.0.1", 80), "127.0.0.1");
}

TEST_F(NetnsTraffic, TheWayOutIsMasqueradedAndInternalHasNone) {
  EXPECT_EQ(Ask(shop_.Pin("web"), kOutside, 80), kHostOutside);
  EXPECT_EQ(Ask(shop_.Pin("peer"), kOutside, 80), kHostOutside);
  EXPECT_EQ(Ask(rival_.Pin("web"), kOutside, 80), kHostOutside);
  EXPECT_EQ(AskOnce(shop_.Pin("db"), kOutside, 80), "");
  // Also not when somebody inside makes himself a route.
  Done(testing::RunInside(shop_.Pin("db"), []() -> Result<> {
    auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
    const auto link = TRY(GetLink(netlink, "eth0"));
    return AddDefaultRoute(netlink, {spec::ParseIpv4("10.77.2.1").value(), link->index});
  }));
  EXPECT_EQ(AskOnce(shop_.Pin("db"), kOutside, 80), "");
  EXPECT_EQ(AskOnce(shop_.Pin("db"), "10.77.1.3", 80), "");
}

TEST_F(NetnsTraffic, NobodyOutsideGetsInButThroughAPublishedPort) {
  RouteFromOutside("10.77.0.0/16");
  for (const auto* address : {"10.77.1.2", "10.77.2.3", "10.77.3.2", "10.77.8.2"}) {
    EXPECT_EQ(AskOnce(outside_, address, 80), "") << address;
  }
  EXPECT_EQ(Ask(outside_, kHostOutside, 8080), kOutside) << "with the client's own address";
  EXPECT_EQ(Ask(outside_, kHostOutside, 8053, 2000, true), kOutside);
  EXPECT_EQ(Ask(outside_, kHostOutside, 8082), kOutside);
  EXPECT_EQ(Ask(outside_, kHostOutside, 9090), kOutside);
  EXPECT_EQ(AskOnce(outside_, kHostOutside, 8081), "") << "published on 127.0.0.1 alone";
  EXPECT_EQ(AskOnce(outside_, kHostOutside, 8083), "") << "its network has no way in";
}

TEST_F(NetnsTraffic, TheHostReachesPublishedPorts) {
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8080), "10.77.1.1");
  EXPECT_EQ(Ask(kHost, kHostOutside, 8080), kHostOutside);
  EXPECT_EQ(Ask(kHost, "10.77.1.1", 8080), "10.77.1.1");
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8053, 2000, true), "10.77.1.1");
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8081), "10.77.1.1");
  EXPECT_EQ(AskOnce(kHost, kHostOutside, 8081), "");
  EXPECT_EQ(Ask(kHost, kHostOutside, 8082), kHostOutside);
  EXPECT_EQ(AskOnce(kHost, "127.0.0.1", 8082), "");
  // A service without a way out has no route back; it is asked from its gateway.
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8083), "10.77.2.1");
  EXPECT_EQ(Ask(kHost, kHostOutside, 8083), "10.77.2.1");
}

TEST_F(NetnsTraffic, ContainersReachPublishedPortsThroughTheHostsAddress) {
  EXPECT_EQ(Ask(shop_.Pin("peer"), kHostOutside, 8080), "10.77.1.1") << "hairpin on the same bridge";
  EXPECT_EQ(Ask(shop_.Pin("web"), kHostOutside, 8080), "10.77.1.1") << "of a service with itself";
  EXPECT_EQ(Ask(shop_.Pin("aside"), kHostOutside, 8080), "10.77.1.1") << "from another network";
  EXPECT_EQ(Ask(rival_.Pin("web"), kHostOutside, 8080), "10.77.1.1") << "from another project";
  EXPECT_EQ(Ask(shop_.Pin("web"), "10.77.1.1", 9090), "10.77.8.1") << "by the gateway's address";
  EXPECT_EQ(Ask(shop_.Pin("aside"), kHostOutside, 8053, 2000, true), "10.77.1.1");
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), kHostOutside, 8081), "");
  EXPECT_EQ(AskOnce(shop_.Pin("db"), "10.77.2.1", 8080), "") << "a network without a way out";
}

TEST_F(NetnsTraffic, TheHostsLoopbackIsClosedToContainersAndNeighbours) {
  Serve(kHost, "127.0.0.1", 7000);
  ASSERT_EQ(Ask(kHost, "127.0.0.1", 7000), "127.0.0.1");
  // route_localnet would let these through: a container, and a neighbour, that send for 127.0.0.1 over the wire.
  const auto loopback_over = [](const std::string& pin, const std::string& gateway) {
    Done(testing::RunInside(pin, [&]() -> Result<> {
      TRY(sys::WriteKernelFile("/proc/sys/net/ipv4/conf/all/route_localnet", "1"));
      auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
      const auto link = TRY(GetLink(netlink, "eth0"));
      // As if 127.0.0.1 were not its own: its routes go with the address, and answers from there are no martians.
      TRY(SetAddresses(netlink, 1, "lo", spec::ParseIpv4("10.254.254.254").value(), 32));
      rtmsg header{};
      header.rtm_family = AF_INET;
      header.rtm_dst_len = 8;
      header.rtm_table = RT_TABLE_MAIN;
      header.rtm_type = RTN_UNICAST;
      header.rtm_scope = RT_SCOPE_UNIVERSE;
      header.rtm_protocol = RTPROT_STATIC;
      Message message(RTM_NEWROUTE, NLM_F_CREATE);
      message.Header(header).PutAddress(RTA_DST, spec::ParseIpv4("127.0.0.0").value()).Put(RTA_OIF, link->index);
      message.PutAddress(RTA_GATEWAY, spec::ParseIpv4(gateway).value());
      message.PutAddress(RTA_PREFSRC, TRY(DumpAddresses(netlink, link->index)).at(0).address);
      return netlink.Do(message, "add route", "127.0.0.0/8");
    }));
  };
  loopback_over(shop_.Pin("peer"), "10.77.1.1");
  loopback_over(outside_, kHostOutside);
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), "127.0.0.1", 7000), "");
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), "127.0.0.1", 8081), "");
  EXPECT_EQ(AskOnce(outside_, "127.0.0.1", 7000), "");
  EXPECT_EQ(AskOnce(outside_, "127.0.0.1", 8081), "") << "a port published on 127.0.0.1 is for this host";
  EXPECT_EQ(AskOnce(outside_, "127.0.0.1", 8080), "");

  // That the try itself is a real one: without the guard the container gets through.
  for (const auto* project : {"shop", "rival"})  // each guards every bridge of nucleus
    Done(RunNft("flush chain inet " + FirewallTable(project) + " guard\n", "test", "flush"));
  EXPECT_EQ(Ask(shop_.Pin("peer"), "127.0.0.1", 7000), "10.77.1.3");
}

TEST_F(NetnsTraffic, TheHostItselfIsClosedToNetworksWithoutAWayOut) {
  Serve(kHost, "0.0.0.0", 7200);
  Serve(kHost, "0.0.0.0", 7201, true);
  ASSERT_EQ(Ask(kHost, "127.0.0.1", 7200), "127.0.0.1");
  // Also when somebody inside makes himself a route.
  Done(testing::RunInside(shop_.Pin("db"), []() -> Result<> {
    auto netlink = TRY(Netlink::Open(NETLINK_ROUTE));
    const auto link = TRY(GetLink(netlink, "eth0"));
    return AddDefaultRoute(netlink, {spec::ParseIpv4("10.77.2.1").value(), link->index});
  }));
  for (const auto* address : {"10.77.2.1", "10.77.1.1", "10.77.8.1", kHostOutside}) {
    EXPECT_EQ(AskOnce(shop_.Pin("db"), address, 7200), "") << address;
    EXPECT_EQ(AskOnce(shop_.Pin("db"), address, 7201, true), "") << address;
  }
  // Of the others the host's own firewall decides; and the host asks whom it likes.
  EXPECT_EQ(Ask(shop_.Pin("peer"), "10.77.1.1", 7200), "10.77.1.3");
  EXPECT_EQ(Ask(kHost, "10.77.2.3", 80), "10.77.2.1");
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8083), "10.77.2.1");

  // That the try itself is a real one.
  Done(RunNft("flush chain inet " + FirewallTable("shop") + " input\n", "test", "flush"));
  EXPECT_EQ(Ask(shop_.Pin("db"), "10.77.2.1", 7200), "10.77.2.3");
  EXPECT_EQ(Ask(shop_.Pin("db"), kHostOutside, 7200), "10.77.2.3");
}

TEST_F(NetnsTraffic, ABridgeThatHasNoRulesAnyMoreLeadsNowhere) {
  auto& firewall = shop_.Get<FirewallWanted>("topology/firewall");
  std::erase_if(firewall.networks, [](const auto& net) { return net.network == "side"; });
  ASSERT_EQ(Ask(shop_.Pin("aside"), kOutside, 80), kHostOutside);
  Done(site_.actuator.Apply(shop_.Key("topology/firewall"), firewall, {}));
  RouteFromOutside("10.77.0.0/16");  // so that an answer would find its way without being masqueraded
  EXPECT_EQ(AskOnce(shop_.Pin("aside"), kOutside, 80), "");
  EXPECT_EQ(AskOnce(outside_, "10.77.3.2", 80), "");
}

TEST_F(NetnsTraffic, AVethThatIsMadeAgainServesTheSameWorkload) {
  const std::string veth = VethLink("shop", {Kind::kService, "web"}, "front");
  auto netlink = Netlink::Open(NETLINK_ROUTE);
  ASSERT_EQ(Ask(shop_.Pin("peer"), "10.77.1.2", 80), "10.77.1.3");
  Done(DeleteLink(*netlink, GetLink(*netlink, veth).value()->index, veth));
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), "10.77.1.2", 80), "");
  Done(site_.Apply(shop_));
  // The server's socket was opened before, and the neighbours still know its hardware address.
  EXPECT_EQ(Ask(shop_.Pin("peer"), "10.77.1.2", 80, 1000), "10.77.1.3");
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8080), "10.77.1.1");
  EXPECT_EQ(Ask(shop_.Pin("web"), kOutside, 80), kHostOutside);
}

TEST_F(NetnsTraffic, ABridgeThatIsMadeAgainServesTheSameWorkloads) {
  const std::string bridge = BridgeLink("shop", "front");
  auto netlink = Netlink::Open(NETLINK_ROUTE);
  Done(DeleteLink(*netlink, GetLink(*netlink, bridge).value()->index, bridge));
  EXPECT_EQ(AskOnce(shop_.Pin("peer"), "10.77.1.2", 80), "");
  Done(site_.Apply(shop_));
  EXPECT_EQ(Ask(shop_.Pin("peer"), "10.77.1.2", 80, 1000), "10.77.1.3");
  EXPECT_EQ(Ask(shop_.Pin("peer"), kOutside, 80, 1000), kHostOutside);
}

TEST_F(NetnsTraffic, PublishedPortsChangeLive) {
  auto& firewall = shop_.Get<FirewallWanted>("topology/firewall");
  firewall.forwards.front().port.host_port = 8888;
  Done(site_.Apply(shop_));
  EXPECT_EQ(Ask(kHost, "127.0.0.1", 8888), "10.77.1.1");
  EXPECT_EQ(AskOnce(kHost, "127.0.0.1", 8080), "");
}

TEST_F(NetnsTraffic, HoldersOfAPortAreNamed) {
  Serve(kHost, "0.0.0.0", 7100);
  Serve(kHost, "127.0.0.1", 7101);
  Serve(kHost, "127.0.0.1", 7102, true);
  const auto holders = [](const char* port) { return PortHolders({spec::ParsePortForward(port).value()}).value(); };
  ASSERT_EQ(holders("7100:80").size(), 1U);
  EXPECT_EQ(holders("7100:80")[0].Text(), "0.0.0.0:7100/tcp is held by netns_traffic_t (pid " +
                                              std::to_string(::getpid()) + "), which listens on 0.0.0.0:7100");
  EXPECT_EQ(holders("127.0.0.1:7100:80").size(), 1U);
  EXPECT_EQ(holders("7101:80").size(), 1U);
  EXPECT_EQ(holders("192.0.2.1:7101:80").size(), 0U);
  EXPECT_EQ(holders("7101:80/udp").size(), 0U);
  EXPECT_EQ(holders("7102:80/udp").size(), 1U);
  EXPECT_EQ(holders("7103:80").size(), 0U);
}

TEST_F(NetnsTraffic, RoutesOfTheHostAreToldButNotOurOwn) {
  const auto routes = HostRoutes("");
  ASSERT_TRUE(routes) << routes.error().Message();
  EXPECT_EQ(*routes, std::vector{spec::ParseIpv4Net("192.0.2.0/24").value()});
}

TEST_F(NetnsTraffic, ARouteOverSeveralLinksIsTheHosts) {
  ASSERT_EQ(std::system("ip route add 198.51.100.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.3"), 0);
  const auto routes = HostRoutes("");
  ASSERT_EQ(std::system("ip route del 198.51.100.0/24"), 0);
  ASSERT_TRUE(routes) << routes.error().Message();
  EXPECT_TRUE(std::ranges::count(*routes, spec::ParseIpv4Net("198.51.100.0/24").value()) == 1);
}

}  // namespace
}  // namespace nucleus::netns

int main(int argc, char** argv) {
  return nucleus::netns::testing::RunIsolated(argc, argv);
}
