// A container that may write its own headers: what of it reaches a neighbour. Real frames, counted at the victim.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cstdlib>
#include <set>

#include "actuators/netns/firewall_listing.hpp"
#include "actuators/netns/nft.hpp"
#include "actuators/netns/testing.hpp"
#include "spec/net.hpp"
#include "state/parts/netns_facts.hpp"
#include "state/parts/spoof_model.hpp"

namespace nucleus::netns {
namespace {

using testing::Ask;
using testing::AskOnce;
using testing::EchoServer;
using testing::Project;
using testing::Site;

constexpr const char* kMallory = "10.77.1.2";
constexpr const char* kVictim = "10.77.1.3";
constexpr const char* kFriend = "10.77.1.4";

using Frame = std::vector<std::uint8_t>;

spec::Ipv4 Ip(const char* text) {
  return spec::ParseIpv4(text).value();
}
MacAddress Mac(const char* text) {
  return MacOf(Ip(text));
}

void Put(Frame& frame, const MacAddress& mac) {
  frame.insert(frame.end(), mac.begin(), mac.end());
}
void Put(Frame& frame, std::uint16_t value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8));
  frame.push_back(static_cast<std::uint8_t>(value));
}
void Put(Frame& frame, spec::Ipv4 address) {
  Put(frame, static_cast<std::uint16_t>(address.value >> 16));
  Put(frame, static_cast<std::uint16_t>(address.value));
}

Frame Ethernet(const MacAddress& to, const MacAddress& from, std::uint16_t type) {
  Frame frame;
  Put(frame, to);
  Put(frame, from);
  Put(frame, type);
  return frame;
}

constexpr std::uint16_t kTry = 0x7a31;  // begins the payload of every frame of ours; then comes its number

void PutIp(Frame& frame, spec::Ipv4 from, std::uint16_t number) {
  constexpr std::uint8_t kExperimental = 253;  // RFC 3692
  const std::array<std::uint8_t, 12> start{0x45, 0, 0, 24, 0, 0, 0, 0, 64, kExperimental, 0, 0};
  frame.insert(frame.end(), start.begin(), start.end());
  Put(frame, from);
  Put(frame, Ip(kVictim));
  // br_netfilter drops what has no right checksum before anybody looks at who it is from.
  const std::size_t header = frame.size() - 20;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) {
    sum += static_cast<std::uint32_t>(frame[header + i] << 8 | frame[header + i + 1]);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  frame[header + 10] = static_cast<std::uint8_t>(~sum >> 8);
  frame[header + 11] = static_cast<std::uint8_t>(~sum);
  Put(frame, kTry);
  Put(frame, number);
}
Frame IpFrame(const MacAddress& from_mac, const char* from, std::uint16_t number) {
  auto frame = Ethernet(Mac(kVictim), from_mac, ETH_P_IP);
  PutIp(frame, Ip(from), number);
  return frame;
}
Frame ArpReply(const MacAddress& from_mac, const MacAddress& sender_mac, const char* sender, std::uint16_t number) {
  auto frame = Ethernet(Mac(kVictim), from_mac, ETH_P_ARP);
  for (const std::uint16_t value : std::initializer_list<std::uint16_t>{1, 0x0800, 0x0604, 2}) Put(frame, value);
  Put(frame, sender_mac);
  Put(frame, Ip(sender));
  Put(frame, Mac(kVictim));
  Put(frame, Ip(kVictim));
  Put(frame, kTry);
  Put(frame, number);
  return frame;
}
Frame Other(std::uint16_t type, std::uint16_t number) {
  auto frame = Ethernet(Mac(kVictim), Mac(kMallory), type);
  Put(frame, kTry);
  Put(frame, number);
  return frame;
}
Frame Tagged(std::uint16_t vlan, const char* from, std::uint16_t number) {
  auto frame = Ethernet(Mac(kVictim), Mac(kMallory), ETH_P_8021Q);
  Put(frame, vlan);
  Put(frame, std::uint16_t{ETH_P_IP});
  PutIp(frame, Ip(from), number);
  return frame;
}

Result<sys::Fd> PacketSocket(const std::string& pin) {
  sys::Fd fd;
  TRY(testing::RunInside(pin, [&]() -> Result<> {
    fd.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
    sockaddr_ll at{};
    at.sll_family = AF_PACKET;
    at.sll_protocol = htons(ETH_P_ALL);
    at.sll_ifindex = static_cast<int>(::if_nametoindex("eth0"));
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return FailSys("bind", pin);
    return {};
  }));
  return fd;
}

// The numbers of our frames that arrived, up to and without the last.
std::set<int> Arrived(const sys::Fd& socket, std::uint16_t last) {
  std::set<int> numbers;
  constexpr int kLongEnough = 5000;
  pollfd ready{socket.get(), POLLIN, 0};
  while (::poll(&ready, 1, kLongEnough) == 1) {
    std::array<std::uint8_t, 256> frame{};
    sockaddr_ll from{};
    socklen_t size = sizeof from;
    const ssize_t length =
        ::recvfrom(socket.get(), frame.data(), frame.size(), 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (length < 4 || from.sll_pkttype == PACKET_OUTGOING) continue;
    for (std::size_t i = ETH_HLEN; i + 4 <= static_cast<std::size_t>(length); ++i) {
      if (frame[i] != kTry >> 8 || frame[i + 1] != (kTry & 0xff)) continue;
      const int number = frame[i + 2] << 8 | frame[i + 3];
      if (number == last) return numbers;
      numbers.insert(number);
      break;
    }
  }
  ADD_FAILURE() << "the honest frame at the end did not arrive";
  return numbers;
}

class Spoofing : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::Isolated()) GTEST_SKIP() << "needs CAP_SYS_ADMIN for namespaces of its own";
    shop_.Network("front", "10.77.1.0/24");
    shop_.Service("mallory", {{"front", kMallory}}).Service("victim", {{"front", kVictim}});
    shop_.Service("friend", {{"front", kFriend}});
    Done(site_.Apply(shop_));
    for (const auto* service : {"victim", "friend"}) {
      auto server = EchoServer::Start(shop_.Pin(service), "0.0.0.0", 80);
      ASSERT_TRUE(server) << server.error().Message();
      servers_.push_back(std::move(*server));
    }
    ASSERT_EQ(Ask(shop_.Pin("mallory"), kVictim, 80), kMallory);
    ASSERT_EQ(Ask(shop_.Pin("victim"), kFriend, 80), kVictim);
  }
  void TearDown() override {
    if (!testing::Isolated()) return;
    servers_.clear();
    Done(site_.Undo(shop_));
    EXPECT_TRUE(DumpTables(TableFamily::kBridge).value().empty());
  }
  static void Done(const Result<>& result) { ASSERT_TRUE(result) << result.error().Message(); }

  void Send(const std::vector<Frame>& frames) {
    const auto socket = PacketSocket(shop_.Pin("mallory"));
    ASSERT_TRUE(socket) << socket.error().Message();
    for (const auto& frame : frames)
      ASSERT_EQ(::send(socket->get(), frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
  }
  // What of these reaches the victim.
  std::set<int> Reached(std::vector<Frame> frames) {
    constexpr std::uint16_t kLast = 999;
    const auto victim = PacketSocket(shop_.Pin("victim"));
    EXPECT_TRUE(victim) << victim.error().Message();
    frames.push_back(IpFrame(Mac(kMallory), kMallory, kLast));
    Send(frames);
    return Arrived(*victim, kLast);
  }
  static std::vector<Frame> Forged() {
    return {IpFrame(Mac(kMallory), kFriend, 1),
            IpFrame(Mac(kFriend), kMallory, 2),
            IpFrame(Mac(kFriend), kFriend, 3),
            IpFrame(Mac(kMallory), "10.77.1.1", 4),
            IpFrame(Mac(kMallory), "192.0.2.77", 5),
            ArpReply(Mac(kMallory), Mac(kMallory), kFriend, 6),
            ArpReply(Mac(kMallory), Mac(kFriend), kMallory, 7),
            ArpReply(Mac(kFriend), Mac(kMallory), kMallory, 8),
            ArpReply(Mac(kMallory), Mac(kMallory), "10.77.1.1", 9),
            Other(ETH_P_IPV6, 10),
            Other(0x88b5, 11),
            Tagged(0, kFriend, 12),
            Tagged(7, kFriend, 13)};
  }
  // That the bridge believes a neighbour to be where it is not.
  static Frame GroupFrame(std::uint8_t group) {
    return Ethernet({0x01, 0x80, 0xc2, 0, 0, group}, Mac(kFriend), ETH_P_IP);
  }
  // The rules are those of a project without that port.
  void LetGo(std::size_t port) {
    auto& firewall = shop_.Get<FirewallWanted>("topology/firewall");
    firewall.ports.erase(firewall.ports.begin() + static_cast<std::ptrdiff_t>(port));
    Done(site_.actuator.Apply(shop_.Key("topology/firewall"), firewall, {}));
  }
  static bool IsMentioned(const std::string& link) {
    const auto listing = ListTableJson(FirewallTable("shop"), TableFamily::kBridge);
    EXPECT_TRUE(listing) << listing.error().Message();
    return listing && *listing && (*listing)->find(link) != std::string::npos;
  }
  void WithoutChecks() { Done(RunNft(NoSpoofTransaction(FirewallTable("shop")), "test", "delete")); }

  Site site_;
  Project shop_{site_.directories, "shop"};
  std::vector<std::unique_ptr<EchoServer>> servers_;
};

TEST_F(Spoofing, OnlyOnesOwnAddressesReachANeighbour) {
  EXPECT_EQ(Reached(Forged()), std::set<int>{});
  EXPECT_EQ(Reached({IpFrame(Mac(kMallory), kMallory, 20), ArpReply(Mac(kMallory), Mac(kMallory), kMallory, 21)}),
            (std::set{20, 21}));
  EXPECT_EQ(site_.Drift(shop_), "");
  // That the tries are real ones; the tenth is no packet of IPv6 at all, and br_netfilter drops it before.
  WithoutChecks();
  EXPECT_EQ(Reached(Forged()), (std::set{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13}));
}

TEST_F(Spoofing, TheBridgeLearnsOnlyWhatIsTrue) {
  const auto tell = [&] { Send({GroupFrame(0x00), GroupFrame(0x03), GroupFrame(0x0e)}); };
  tell();
  EXPECT_EQ(Ask(shop_.Pin("victim"), kFriend, 80), kVictim);
  const auto bridge = BridgeLink("shop", "front");
  ASSERT_EQ(std::system(("ip link set " + bridge + " type bridge no_linklocal_learn 0").c_str()), 0);
  EXPECT_NE(site_.Drift(shop_).find("network.front/bridge: learns of group frames: no -> yes"), std::string::npos);
  tell();
  EXPECT_EQ(AskOnce(shop_.Pin("victim"), kFriend, 80), "") << "the try itself is a real one";
}

TEST_F(Spoofing, AServiceThatIsOnItsWayOutIsStillChecked) {
  LetGo(0);
  EXPECT_EQ(site_.Drift(shop_), "") << "what is left of it is nobody's drift";
  EXPECT_EQ(Reached(Forged()), std::set<int>{});
  EXPECT_EQ(Ask(shop_.Pin("mallory"), kVictim, 80), kMallory) << "and still served";
}

TEST_F(Spoofing, WhatIsSaidOfALinkGoesWithIt) {
  const auto mallory = shop_.Get<FirewallWanted>("topology/firewall").ports[0].link;
  LetGo(0);
  EXPECT_TRUE(IsMentioned(mallory));
  Done(site_.actuator.Undo(shop_.Key("service.mallory/netns"), nullptr, {}, {}));
  EXPECT_FALSE(IsMentioned(mallory));
  // Where whoever removes it is killed in between, it is drift.
  const auto victim = shop_.Get<FirewallWanted>("topology/firewall").ports[0].link;
  LetGo(0);
  ASSERT_EQ(std::system(("ip link del " + victim).c_str()), 0);
  EXPECT_TRUE(IsMentioned(victim));
  EXPECT_NE(site_.Drift(shop_).find("topology/firewall: sources of " + victim), std::string::npos);
  // The step for the rules that ends in that moment does not fail for it.
  EXPECT_EQ(site_.Drift(shop_, true).find("topology/firewall"), std::string::npos);
  Done(site_.actuator.Apply(shop_.Key("topology/firewall"), shop_.Get<FirewallWanted>("topology/firewall"), {}));
  EXPECT_FALSE(IsMentioned(victim));
  EXPECT_EQ(site_.Drift(shop_).find("topology/firewall"), std::string::npos);
}

TEST_F(Spoofing, WhatIsChangedIsNoticedAndRepaired) {
  const auto table = FirewallTable("shop");
  const auto link = VethLink("shop", {Kind::kService, "mallory"}, "front");
  const auto repaired = [&](const std::string& what, const std::string& commands) {
    Done(RunNft(commands, "test", commands));
    EXPECT_NE(site_.Drift(shop_).find("topology/firewall: " + what), std::string::npos) << site_.Drift(shop_);
    Done(site_.Apply(shop_));
    EXPECT_EQ(site_.Drift(shop_), "") << what;
    EXPECT_EQ(Reached(Forged()), std::set<int>{}) << what;
  };
  repaired("rule sources ipv4", "delete table bridge " + table);
  repaired("sources of " + link, "delete element bridge " + table + " ports { \"" + link + "\" }");
  repaired("sources of " + link, "add element bridge " + table + " ipv4 { \"" + link + "\" . " + Format(Mac(kMallory)) +
                                     " . " + kFriend + " }");
  repaired("rule sources", "insert rule bridge " + table + " sources accept");
  repaired("sources chain", "add chain bridge " + table + " stranger");
  const auto bridge = BridgeLink("shop", "front");
  repaired("rule forward of networks", "flush chain inet " + table + " forward");
  repaired("rule forward front source", "flush chain inet " + table + " " + bridge);
  repaired("absent", "flush ruleset");
}

// What a library of nftables 1.1 lists of the table that an older one lists as it was declared.
TEST(SpoofListing, NewerLibrariesNameTheTargetAndListASetAsItWasDeclared) {
  constexpr std::string_view kListing = R"({"nftables": [
    {"set": {"family": "bridge", "name": "targets", "table": "t", "handle": 3, "type": {"typeof": {"concat":
      [{"meta": {"key": "iifname"}}, {"payload": {"base": "th", "offset": 64, "len": 128}}]}},
      "elem": [{"concat": ["nv0123456789", "0xfd000077000000000000000000000002"]}]}},
    {"rule": {"family": "bridge", "table": "t", "chain": "sources", "handle": 5, "expr": [
      {"match": {"op": "!=", "left": {"concat": [{"meta": {"key": "iifname"}},
        {"payload": {"protocol": "icmpv6", "field": "taddr"}}]}, "right": "@targets"}}, {"drop": null}]}}]})";
  const auto state = ParseListing(kListing);
  ASSERT_TRUE(state) << state.error().Message();
  EXPECT_EQ(state->others, std::vector<std::string>{"set targets ifname,integer"});
  ASSERT_EQ(state->rules.size(), 1U);
  EXPECT_EQ(state->rules[0].text, "iifname . @th,64,128 != @targets drop");
  ASSERT_EQ(state->elements.size(), 1U);
  EXPECT_EQ(state->elements[0].second, "nv0123456789 . 0xfd000077000000000000000000000002");
}

}  // namespace
}  // namespace nucleus::netns

int main(int argc, char** argv) {
  return nucleus::netns::testing::RunIsolated(argc, argv);
}
