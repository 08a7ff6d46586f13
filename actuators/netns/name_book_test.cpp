// Names and their addresses over time, with a clock of the test's own.
#include "actuators/netns/name_book.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "spec/net.hpp"

namespace nucleus::netns {
namespace {

const std::string kName = "a.example";

spec::IpAddress Ip(std::string_view text) {
  return *spec::ParseIpAddress(text);
}

DnsAnswer Answer(std::initializer_list<const char*> addresses, std::uint32_t seconds) {
  DnsAnswer answer;
  for (const auto* address : addresses) answer.addresses.push_back(Ip(address));
  answer.seconds = seconds;
  return answer;
}

Result<DnsAnswer> None() {
  return Fail(ErrorCode::kNotFound, "look up", kName, "nobody answers");
}

TEST(NameBook, EveryNameIsDueAtOnceAndAgainWhenItsAnswerHasHadItsTime) {
  NameBook book({kName, "b.example"});
  EXPECT_EQ(book.Due(0), (std::vector<std::string>{kName, "b.example"}));
  EXPECT_FALSE(book.Learn(kName, Answer({"203.0.113.1"}, 60), 0));
  EXPECT_FALSE(book.Learn("b.example", Answer({"203.0.113.2"}, 90), 0));
  EXPECT_EQ(book.NextDue(), 60'000);
  EXPECT_TRUE(book.Due(59'999).empty());
  EXPECT_EQ(book.Due(60'000), std::vector<std::string>{kName});
}

TEST(NameBook, NeitherAShortTimeNorALongOneIsTakenAtItsWord) {
  NameBook book({kName});
  EXPECT_FALSE(book.Learn(kName, Answer({"203.0.113.1"}, 0), 0));
  EXPECT_EQ(book.NextDue(), kSoonest);
  EXPECT_FALSE(book.Learn(kName, Answer({"203.0.113.1"}, UINT32_MAX), 0));
  EXPECT_EQ(book.NextDue(), kLatest);
}

TEST(NameBook, AnAddressThatIsNoneAnyMoreStaysForAWhile) {
  NameBook book({kName});
  EXPECT_FALSE(book.Learn(kName, Answer({"203.0.113.1"}, 60), 0));
  EXPECT_FALSE(book.Learn(kName, Answer({"203.0.113.2"}, 60), 60'000));
  EXPECT_EQ(book.Addresses(60'000).size(), 2U);
  EXPECT_EQ(book.Addresses(60'000 + kGrace - 1).size(), 2U);
  const auto left = book.Addresses(60'000 + kGrace);
  ASSERT_EQ(left.size(), 1U);
  EXPECT_EQ(left.begin()->first, Ip("203.0.113.2"));
}

TEST(NameBook, WithoutAnswersItIsAskedMoreAndMoreSeldomAndToldOnce) {
  NameBook book({kName});
  EXPECT_TRUE(book.Learn(kName, None(), 0));
  EXPECT_EQ(book.NextDue(), kFirstRetry);
  EXPECT_FALSE(book.Learn(kName, None(), kFirstRetry));
  EXPECT_EQ(book.NextDue(), 3 * kFirstRetry);
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(book.Learn(kName, None(), 0));
  EXPECT_EQ(book.NextDue(), kLastRetry);
  EXPECT_FALSE(book.Learn(kName, Answer({"203.0.113.1"}, 60), 0));
  EXPECT_FALSE(book.Learn(kName, None(), 60'000)) << "there is an address yet";
  EXPECT_EQ(book.NextDue(), 60'000 + kFirstRetry);
  EXPECT_TRUE(book.Learn(kName, None(), 60'000 + kGrace));
}

TEST(NameBook, ANameDoesNotStandForWhatIsInside) {
  for (const auto* address : {"127.0.0.1", "10.0.0.1", "172.31.255.255", "192.168.0.1", "169.254.169.254", "0.0.0.0",
                              "100.64.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.19.0.1"}) {
    EXPECT_FALSE(IsPublic(Ip(address))) << address;
    NameBook book({kName});
    const auto told = book.Learn(kName, Answer({address}, 60), 0);
    ASSERT_TRUE(told) << address;
    EXPECT_NE(told->Message().find(address), std::string::npos);
    EXPECT_TRUE(book.Addresses(0).empty()) << address;
  }
  for (const auto* address : {"::1", "::", "fe80::1", "fd00::1", "ff02::1", "64:ff9b::a00:1", "2002:a00:1::1",
                              "2001::1", "2001:10::1", "4000::1"})
    EXPECT_FALSE(IsPublic(Ip(address))) << address;
  for (const auto* address : {"8.8.8.8", "172.32.0.0", "192.0.1.0", "223.255.255.255", "100.128.0.0",
                              "2001:4860:4860::8888", "2a00::1", "2001:200::1"})
    EXPECT_TRUE(IsPublic(Ip(address))) << address;
  NameBook book({kName});
  EXPECT_FALSE(book.Learn(kName, Answer({"10.0.0.1", "203.0.113.1"}, 60), 0));
  EXPECT_EQ(book.Addresses(0).size(), 1U);
}

RC_GTEST_PROP(NameBook, NeverKeepsMoreThanItMayAndNothingForLongerThanItSays, ()) {
  NameBook book({kName});
  Millis now = 0;
  for (const auto seconds : *rc::gen::container<std::vector<std::uint32_t>>(rc::gen::arbitrary<std::uint32_t>())) {
    DnsAnswer answer;
    answer.seconds = seconds;
    for (int i = 0; i < kMostAddresses; ++i)
      answer.addresses.emplace_back(spec::Ipv4{*rc::gen::arbitrary<std::uint32_t>()});
    (void)book.Learn(kName, answer, now);
    const auto addresses = book.Addresses(now);
    RC_ASSERT(addresses.size() <= kMostOfName);
    for (const auto& [address, until] : addresses) RC_ASSERT(until > now && until <= now + kLatest + kGrace);
    now = book.NextDue();
  }
  RC_ASSERT(book.Addresses(now + kLatest + kGrace).empty());
}

}  // namespace
}  // namespace nucleus::netns
