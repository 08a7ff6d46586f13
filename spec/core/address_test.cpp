#include "spec/core/address.hpp"

#include <gtest/gtest.h>

namespace nucleus {
namespace {

TEST(Address, ParseUndoesText) {
  for (const auto* text : {"topology", "network.internal", "volume.db-data", "service.a.b", "container.My_Agent"}) {
    const auto address = Address::Parse(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(address->Text(), text);
  }
}

TEST(Address, RefusesOthers) {
  for (const auto* text :
       {"", "web", "service", "service.", "pod.web", "service.-x", "service.a/b", "service. a", "Service.a"}) {
    EXPECT_FALSE(Address::Parse(text)) << text;
  }
}

TEST(PartKey, ParseUndoesText) {
  const PartKey key{"shop", {Kind::kService, "web.v2"}, Part::kNetns};
  EXPECT_EQ(key.Text(), "service.web.v2/netns");
  EXPECT_EQ(*PartKey::Parse("shop", key.Text()), key);
  EXPECT_EQ(PartKey::Parse("shop", "topology/firewall")->part, Part::kFirewall);
  for (const auto* text : {"service.web", "service.web/", "service.web/net", "/netns", "service.web/netns/"}) {
    EXPECT_FALSE(PartKey::Parse("shop", text)) << text;
  }
}

TEST(Name, Rules) {
  EXPECT_TRUE(IsValidName("a"));
  EXPECT_TRUE(IsValidName("9p.x_y-z"));
  EXPECT_TRUE(IsValidName("Web"));
  EXPECT_FALSE(IsValidProjectName("Web"));
  EXPECT_TRUE(IsValidProjectName("web"));
  EXPECT_TRUE(IsValidName(std::string(63, 'a')));
  for (const std::string& name :
       {std::string(), std::string(64, 'a'), std::string("."), std::string(".."), std::string("-a"), std::string("a b"),
        std::string("a/b"), std::string("a\n"), std::string("a\0b", 3), std::string("\xc3\xa4")}) {
    EXPECT_FALSE(IsValidName(name)) << name;
  }
}

}  // namespace
}  // namespace nucleus
