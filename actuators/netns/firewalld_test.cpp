#include "actuators/netns/firewalld.hpp"

#include <gtest/gtest.h>

namespace nucleus::netns {
namespace {

std::string Rule(std::string_view chain, std::string_view expressions) {
  return R"({"rule":{"family":"inet","table":"firewalld","chain":")" + std::string(chain) + R"(","expr":[)" +
         std::string(expressions) + "]}}";
}

std::string From(std::string_view link, std::string_view verdict, std::string_view target) {
  return R"({"match":{"op":"==","left":{"meta":{"key":"iifname"}},"right":")" + std::string(link) + R"("}},{")" +
         std::string(verdict) + R"(":{"target":")" + std::string(target) + R"("}})";
}

std::string Listing(std::initializer_list<std::string> rules) {
  std::string text = R"({"nftables":[{"metainfo":{}},{"table":{"family":"inet","name":"firewalld"}})";
  for (const auto& rule : rules) text += "," + rule;
  return text + "]}";
}

const std::string kAnswers =
    Rule("filter_FORWARD", R"({"match":{"op":"==","left":{"ct":{"key":"status"}},"right":"dnat"}},{"accept":null})");
const std::string kZones = Rule("filter_FORWARD", R"({"jump":{"target":"filter_FORWARD_ZONES"}})");
const std::string kEnd = Rule("filter_FORWARD", R"({"reject":{"type":"icmpx"}})");
const std::string kPublic = Rule("filter_FORWARD_ZONES", R"({"goto":{"target":"filter_FWD_public"}})");
const std::string kPublicEnd = Rule("filter_FWD_public", R"({"reject":{"type":"icmpx"}})");

TEST(Firewalld, WhatIsInNoZoneIsRejected) {
  EXPECT_FALSE(LetsForward(Listing({kAnswers, kZones, kEnd, kPublic, kPublicEnd}), "nb01"));
  EXPECT_FALSE(LetsForward(Listing({kAnswers, kZones, kEnd}), "nb01"));
}

TEST(Firewalld, AZoneAloneForwardsNothingAndItsPolicyDoes) {
  const auto zone = Rule("filter_FORWARD_ZONES", From("nb*", "goto", "filter_FWD_nucleus"));
  const auto policies = Rule("filter_FWD_nucleus", R"({"jump":{"target":"filter_FORWARD_POLICIES_pre"}})");
  const auto end = Rule("filter_FWD_nucleus", R"({"reject":{"type":"icmpx"}})");
  const auto policy = Rule("filter_FORWARD_POLICIES_pre", From("nb*", "jump", "filter_FWD_policy_nucleus-forward"));
  const auto accept = Rule("filter_FWD_policy_nucleus-forward", R"({"accept":null})");
  EXPECT_FALSE(LetsForward(Listing({kZones, kEnd, zone, kPublic, kPublicEnd, policies, end}), "nb01"));
  EXPECT_FALSE(LetsForward(Listing({kZones, kEnd, zone, kPublic, kPublicEnd, policies, end, policy}), "nb01"));
  EXPECT_TRUE(LetsForward(Listing({kZones, kEnd, zone, kPublic, kPublicEnd, policies, end, policy, accept}), "nb01"));
  EXPECT_FALSE(LetsForward(Listing({kZones, kEnd, zone, kPublic, kPublicEnd, policies, end, policy, accept}), "eth0"));
}

TEST(Firewalld, AZoneThatTrustsIsEnoughForWhomItHas) {
  const auto zone = Rule("filter_FORWARD_ZONES", From("nb01", "goto", "filter_FWD_trusted"));
  const auto to = Rule("filter_FWD_trusted",
                       R"({"match":{"op":"==","left":{"meta":{"key":"oifname"}},"right":"nb02"}},{"drop":null})");
  const auto accept = Rule("filter_FWD_trusted", R"({"accept":null})");
  const auto listing = Listing({kZones, kEnd, zone, kPublic, kPublicEnd, to, accept});
  EXPECT_TRUE(LetsForward(listing, "nb01"));
  EXPECT_FALSE(LetsForward(listing, "nb012"));
}

TEST(Firewalld, ChainsThatLeadInACircleAndWhatIsNoListingAreNoWay) {
  EXPECT_FALSE(LetsForward("", "nb01"));
  EXPECT_FALSE(LetsForward("[]", "nb01"));
  const auto circle = Rule("filter_FORWARD_ZONES", R"({"jump":{"target":"filter_FORWARD"}})");
  EXPECT_FALSE(LetsForward(Listing({kZones, circle, kEnd}), "nb01"));
}

}  // namespace
}  // namespace nucleus::netns
