// Answers as they come over the wire.
#include "actuators/netns/dns.hpp"

#include <gtest/gtest.h>

#include "spec/net.hpp"

namespace nucleus::netns {
namespace {

std::string Name(std::string_view dotted) {
  std::string wire;
  while (!dotted.empty()) {
    const auto label = dotted.substr(0, dotted.find('.'));
    wire += static_cast<char>(label.size());
    wire += label;
    dotted.remove_prefix(std::min(dotted.size(), label.size() + 1));
  }
  return wire + '\0';
}

std::string Number(std::uint64_t value, int bytes) {
  std::string wire;
  for (int i = bytes - 1; i >= 0; --i) wire += static_cast<char>(value >> (8 * i) & 0xff);
  return wire;
}

constexpr int kA = 1, kCname = 5, kAaaa = 28, kIn = 1;

std::string Record(std::string_view owner, int type, std::uint32_t ttl, const std::string& data) {
  return Name(owner) + Number(type, 2) + Number(kIn, 2) + Number(ttl, 4) + Number(data.size(), 2) + data;
}

std::string Answer(const std::vector<std::string>& records, std::string_view question = "a.example") {
  std::string wire = Number(1, 2) + Number(0x8180, 2) + Number(1, 2) + Number(records.size(), 2) + Number(0, 4);
  wire += Name(question) + Number(kA, 2) + Number(kIn, 2);
  for (const auto& record : records) wire += record;
  return wire;
}

std::string Address(std::string_view text) {
  return Number(spec::ParseIpv4(text)->value, 4);
}

TEST(Dns, AnAnswerHasAddressesAndTheShortestTime) {
  const auto answer = ReadDnsAnswer(Answer({Record("a.example", kA, 60, Address("203.0.113.1")),
                                            Record("a.example", kA, 30, Address("203.0.113.2"))}),
                                    "a.example");
  ASSERT_TRUE(answer) << answer.error().Message();
  EXPECT_EQ(answer->addresses,
            (std::vector{*spec::ParseIpAddress("203.0.113.1"), *spec::ParseIpAddress("203.0.113.2")}));
  EXPECT_EQ(answer->seconds, 30U);
}

TEST(Dns, AddressesAreOfTheFamilyThatWasAskedFor) {
  const auto six = *spec::ParseIpv6("2001:db8::1");
  const std::string bytes(six.bytes.begin(), six.bytes.end());
  const auto wire = Answer({Record("a.example", kCname, 20, Name("b.example")), Record("b.example", kAaaa, 60, bytes),
                            Record("b.example", kA, 5, Address("203.0.113.1"))});
  const auto answer = ReadDnsAnswer(wire, "a.example", Family::kIpv6);
  ASSERT_TRUE(answer) << answer.error().Message();
  EXPECT_EQ(answer->addresses, std::vector<spec::IpAddress>{six});
  EXPECT_EQ(answer->seconds, 20U);
  EXPECT_FALSE(
      ReadDnsAnswer(Answer({Record("a.example", kA, 60, Address("203.0.113.1"))}), "a.example", Family::kIpv6));
}

TEST(Dns, AnAliasLeadsOnAndItsTimeCounts) {
  const auto answer = ReadDnsAnswer(
      Answer({Record("a.example", kCname, 10, Name("b.example")), Record("b.example", kA, 60, Address("203.0.113.1"))}),
      "a.example");
  ASSERT_TRUE(answer) << answer.error().Message();
  EXPECT_EQ(answer->addresses.size(), 1U);
  EXPECT_EQ(answer->seconds, 10U);
}

TEST(Dns, WithoutAnAddressItIsNoAnswer) {
  EXPECT_FALSE(ReadDnsAnswer(Answer({}), "a.example"));
  EXPECT_FALSE(ReadDnsAnswer(Answer({Record("a.example", kCname, 10, Name("b.example"))}), "a.example"));
  EXPECT_FALSE(ReadDnsAnswer("", "a.example"));
}

TEST(Dns, AHalfOneIsNone) {
  const auto whole = Answer({Record("a.example", kA, 60, Address("203.0.113.1"))});
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(ReadDnsAnswer(whole.substr(0, size), "a.example")) << size;
}

TEST(Dns, OfTooManyAddressesTheRestIsLeft) {
  std::vector<std::string> records;
  for (std::uint32_t i = 0; i < 1'000; ++i) records.push_back(Record("a.example", kA, 60, Number(0xcb007100 + i, 4)));
  const auto answer = ReadDnsAnswer(Answer(records), "a.example");
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->addresses.size(), static_cast<std::size_t>(kMostAddresses));
}

TEST(Dns, WithoutNameServersEveryNameHasItsError) {
  const auto answers = LookUp({"a.example", "b.example"}, {}, true, nullptr);
  EXPECT_EQ(answers.size(), 2U);
  EXPECT_FALSE(answers.at("a.example"));
}

}  // namespace
}  // namespace nucleus::netns
