#include "state/parts/egress_model.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "spec/net.hpp"

namespace nucleus {
namespace {

spec::Ipv4Net Net(std::string_view text) {
  return *spec::ParseIpv4Net(text);
}

std::vector<std::string> Texts(const EgressWanted& wanted) {
  std::vector<std::string> texts;
  for (const auto& rule : EgressRules(wanted)) texts.push_back(rule.chain + ": " + rule.text);
  return texts;
}

TEST(Egress, DenyAllLeavesTheNameServers) {
  EgressWanted wanted;
  wanted.resolvers = {*spec::ParseIpv4("10.0.0.1")};
  const std::vector<std::string> expected = {
      "output: oifname \"lo\" accept",
      "output: ct direction reply ct state established,related accept",
      "output: ct state related accept",
      "output: ip daddr 10.0.0.1 udp dport 53 accept",
      "output: ip daddr 10.0.0.1 tcp dport 53 accept",
      "output: counter name \"denied\"",
      "output: limit rate 10/minute log prefix \"nucleus-egress-denied: \" level info",
      "output: drop",
      "forward: drop",
  };
  EXPECT_EQ(Texts(wanted), expected);
}

TEST(Egress, WithPortsAnAllowedNetworkIsReachedByTheseOnly) {
  EgressWanted wanted;
  wanted.allowed = {
      {Net("10.0.0.0/8"), std::nullopt}, {Net("0.0.0.0/0"), std::nullopt}, {Net("10.1.2.3/32"), std::nullopt}};
  wanted.tcp_ports = {443};
  wanted.udp_ports = {53};
  const auto texts = Texts(wanted);
  EXPECT_EQ(texts[0], "ports: tcp dport 443 accept");
  EXPECT_EQ(texts[1], "ports: udp dport 53 accept");
  EXPECT_EQ(texts[5], "output: ip daddr 10.0.0.0/8 jump ports");
  EXPECT_EQ(texts[6], "output: meta nfproto ipv4 jump ports");
  EXPECT_EQ(texts[7], "output: ip daddr 10.1.2.3 jump ports");
}

TEST(Egress, TheHostsOwnAddressMayBeLeftOut) {
  EgressWanted wanted;
  wanted.allowed = {{Net("10.42.0.0/24"), *spec::ParseIpv4("10.42.0.1")}};
  EXPECT_EQ(Texts(wanted)[3], "output: ip daddr 10.42.0.0/24 ip daddr != 10.42.0.1 accept");
}

TEST(Egress, WithIpv6NeighboursAreFoundAndItsNetworksAreNamedAsNftListsThem) {
  EgressWanted wanted;
  wanted.v6 = true;
  wanted.resolvers = {*spec::ParseIpv6("fd00::53")};
  wanted.allowed = {{*spec::ParseIpNet("::/0"), std::nullopt},
                    {*spec::ParseIpNet("2001:db8::5/128"), std::nullopt},
                    {*spec::ParseIpNet("fd00::/64"), *spec::ParseIpAddress("fd00::1")}};
  const auto texts = Texts(wanted);
  EXPECT_EQ(texts[3], "output: icmpv6 type nd-neighbor-solicit accept");
  EXPECT_EQ(texts[4], "output: icmpv6 type nd-neighbor-advert accept");
  EXPECT_EQ(texts[5], "output: icmpv6 type mld2-listener-report drop");
  EXPECT_EQ(texts[6], "output: ip6 daddr fd00::53 udp dport 53 accept");
  EXPECT_EQ(texts[8], "output: meta nfproto ipv6 accept");
  EXPECT_EQ(texts[9], "output: ip6 daddr 2001:db8::5 accept");
  EXPECT_EQ(texts[10], "output: ip6 daddr fd00::/64 ip6 daddr != fd00::1 accept");
}

TEST(Egress, WhatWasDeniedBeforeGoesOn) {
  EXPECT_NE(EgressTransaction({}).find("counter denied { }"), std::string::npos);
  // Of a table that is as it should be only the rules are replaced.
  auto seen = ExpectedEgress({});
  seen.counters.emplace(kEgressCounter, 7);
  const auto rules = EgressRulesTransaction({}, seen);
  ASSERT_TRUE(rules);
  EXPECT_TRUE(rules->starts_with("flush table inet nucleus_egress\n"));
  EXPECT_EQ(rules->find("counter denied"), std::string::npos);
  seen.others.emplace_back("set domains ipv4_addr timeout");
  EXPECT_NE(EgressRulesTransaction({}, seen)->find("delete set inet nucleus_egress domains\n"), std::string::npos);
  seen.others.emplace_back("map strange");
  EXPECT_FALSE(EgressRulesTransaction({}, seen));
  seen.others.pop_back();
  seen.chains.emplace("strange", "");
  EXPECT_FALSE(EgressRulesTransaction({}, seen));
  EXPECT_NE(EgressTransaction({}, 7).find("counter denied { packets 7 bytes 0 }"), std::string::npos);
}

TEST(Egress, NamesAreASetAndPartOfTheRule) {
  EgressWanted wanted;
  wanted.allowed = {{Net("10.42.0.0/24"), std::nullopt, true}};
  wanted.domains = {"a.example", "b.example"};
  wanted.tcp_ports = {443};
  const auto texts = Texts(wanted);
  EXPECT_EQ(texts[4], "output: ip daddr 10.42.0.0/24 accept");  // its own peers, by whatever port
  EXPECT_EQ(texts[5], "output: ip daddr @domains jump ports");
  const auto facts = EgressFacts(ExpectedEgress(wanted));
  EXPECT_EQ(facts.at("egress set domains ipv4_addr timeout"), "present");
  EXPECT_EQ(facts.at("egress domains a.example,b.example"), "output: ip daddr @domains jump ports");
  wanted.domains.assign(100, "a.example");
  const auto other = EgressFacts(ExpectedEgress(wanted));
  EXPECT_FALSE(other.contains("egress domains a.example,b.example"));
  for (const auto& [name, value] : other) EXPECT_LT(name.size(), 100U) << name;
}

TEST(Egress, WithIpv6NamesHaveASetOfThatToo) {
  EgressWanted wanted;
  wanted.domains = {"a.example"};
  wanted.v6 = true;
  const auto facts = EgressFacts(ExpectedEgress(wanted));
  EXPECT_EQ(facts.at("egress set domains6 ipv6_addr timeout"), "present");
  EXPECT_EQ(facts.at("egress domains a.example"), "output: ip daddr @domains accept");
  EXPECT_EQ(facts.at("egress IPv6 of domains a.example"), "output: ip6 daddr @domains6 accept");
  EXPECT_NE(EgressTransaction(wanted).find("set domains6 { type ipv6_addr; flags timeout; }"), std::string::npos);
}

TEST(Egress, TheChainDropsWhatNoRuleTook) {
  EXPECT_NE(EgressTransaction({}).find("hook output priority 0; policy drop;"), std::string::npos);
  EXPECT_EQ(EgressFacts(ExpectedEgress({})).at("egress chain output"), "filter output 0 drop");
}

RC_GTEST_PROP(Egress, EveryRuleIsNamedOnceAndItsCommentSurvives, ()) {
  EgressWanted wanted;
  for (const auto value : *rc::gen::container<std::set<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>()))
    wanted.allowed.push_back({spec::Ipv4Net{{value}, 32}, std::nullopt});
  for (const auto port : *rc::gen::container<std::set<std::uint16_t>>(rc::gen::arbitrary<std::uint16_t>()))
    wanted.tcp_ports.push_back(port);
  const auto rules = EgressRules(wanted);
  std::set<std::string> names;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    RC_ASSERT(names.insert(rules[i].name).second);
    const auto comment = RuleComment(i + 1, rules[i].name);
    RC_ASSERT(comment.size() <= kFirewallCommentMax);
    const auto label = ParseRuleComment(rules[i].chain, comment);
    RC_ASSERT(label.name == rules[i].name && label.place == i + 1);
  }
}

}  // namespace
}  // namespace nucleus
