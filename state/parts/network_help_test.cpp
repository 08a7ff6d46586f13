#include "state/parts/network_help.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "spec/net.hpp"

namespace nucleus {
namespace {

NetworkHelp Help() {
  NetworkHelp help;
  help.backend = spec::NatBackend::kPasta;
  help.pin = "/run/nucleus/netns/shop/service.web";
  help.ports = {*spec::ParsePortForward("127.0.0.1:8080:80"), *spec::ParsePortForward("53:53/udp")};
  help.resolvers = {*spec::ParseIpAddress("10.0.0.53"), *spec::ParseIpAddress("fd00::53")};
  help.domains = {"a.example", "b.example"};
  help.must_resolve = help.v6 = true;
  return help;
}

TEST(NetworkHelp, ReadsBackWhatItWrote) {
  for (const auto& help : {Help(), NetworkHelp{}}) {
    const auto text = EncodeNetworkHelp(help, 42, "/usr/libexec/nucleus/nucleus-network");
    const auto back = DecodeNetworkHelp(text);
    ASSERT_TRUE(back) << back.error().Message();
    EXPECT_EQ(*back, help);
    const auto order = ReadNetworkOrder(text);
    ASSERT_TRUE(order) << order.error().Message();
    EXPECT_EQ(order->digest, DigestOf(help));
    EXPECT_EQ(order->serial, 42U);
    EXPECT_EQ(order->program, "/usr/libexec/nucleus/nucleus-network");
  }
}

TEST(NetworkHelp, TheSerialIsNoPartOfWhatIsAskedForAndEverythingElseIs) {
  EXPECT_NE(EncodeNetworkHelp(Help(), 1, "/x"), EncodeNetworkHelp(Help(), 2, "/x"));
  auto other = Help();
  other.ports.pop_back();
  EXPECT_NE(DigestOf(Help()), DigestOf(other));
}

RC_GTEST_PROP(NetworkHelp, WhatIsCutOffOrChangedIsRefusedOrTheSame, ()) {
  const std::string whole = EncodeNetworkHelp(Help(), 7, "/x");
  const auto at = *rc::gen::inRange<std::size_t>(0, whole.size());
  RC_ASSERT(!DecodeNetworkHelp(whole.substr(0, at)));
  std::string changed = whole;
  changed[at] = *rc::gen::arbitrary<char>();
  if (const auto back = DecodeNetworkHelp(changed)) RC_ASSERT(*back == Help());
}

TEST(NetworkState, SaysWhetherItIsSoOrWhichAskingFailedAndWhy) {
  const NetworkState failed{"abc", "7", "port 80: it is taken"};
  EXPECT_EQ(failed.Text(), "abc 7 port 80: it is taken");
  EXPECT_EQ(ReadNetworkState(failed.Text()).why, failed.why);
  EXPECT_EQ(ReadNetworkState(failed.Text()).serial, "7");
  EXPECT_EQ((NetworkState{"abc", "7", ""}.Text()), "abc");
  EXPECT_TRUE(ReadNetworkState("abc").why.empty());
  EXPECT_TRUE(ReadNetworkState(failed.Text()).Publishes("80/tcp")) << "it was not said which are";
  for (const std::vector<std::string>& published : {std::vector<std::string>(), {"[::]:8080:80/tcp", "81:81/udp"}}) {
    const auto read = ReadNetworkState(NetworkState{"abc", "7", "port 80: it is taken", published}.Text());
    EXPECT_EQ(read.published, published);
    EXPECT_EQ(read.why, failed.why);
    EXPECT_EQ(read.Publishes("81:81/udp"), !published.empty());
    EXPECT_FALSE(read.Publishes("80:80/tcp"));
  }
  EXPECT_TRUE(ReadNetworkState("abc").Publishes("80:80/tcp"));
  EXPECT_TRUE(ReadNetworkState("").digest.empty());
}

}  // namespace
}  // namespace nucleus
