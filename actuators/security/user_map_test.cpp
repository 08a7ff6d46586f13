#include "actuators/security/user_map.hpp"

#include <gtest/gtest.h>

namespace nucleus::security {
namespace {

const OwnIds kMachine{{{0, 0, 4294967295U}}, {{0, 0, 4294967295U}}};
const OwnIds kAlone{{{0, 1000, 1}}, {{0, 1000, 1}}};
const OwnIds kLent{{{0, 1000, 1}, {1, 100000, 65536}}, {{0, 1000, 1}, {1, 100000, 65536}}};

spec::Service With(std::optional<spec::UserMap> map, bool rootless = false) {
  spec::Service service;
  service.userns = map;
  service.rootless = rootless;
  return service;
}

UserNamespace Map(const spec::Service& service, const OwnIds& own, std::optional<sys::IdSpan> range = {}) {
  auto space = MapUsers(service, own, range);
  EXPECT_TRUE(space) << space.error().Message();
  return space ? *space : UserNamespace{};
}

TEST(UserMap, IsNoneUnlessAsked) {
  EXPECT_FALSE(Map(With({}), kMachine).enabled);
  EXPECT_FALSE(Map(With({}), kLent).enabled);
  EXPECT_FALSE(NeedOf(With({}), kMachine));
}

TEST(UserMap, OfTheMachinesRootIsARangeOfItsOwn) {
  for (const auto& service : {With({}, true), With(spec::UserMap::kAuto), With(spec::UserMap::kNomap)}) {
    const auto need = NeedOf(service, kMachine);
    ASSERT_TRUE(need);
    EXPECT_EQ(need->count, 65536U);
    EXPECT_EQ(Map(service, kMachine, sys::IdSpan{524288, 65536}).uids, (std::vector<IdRange>{{0, 524288, 65536}}));
  }
  EXPECT_FALSE(NeedOf(With(spec::UserMap::kKeepId), kMachine));
  EXPECT_EQ(Map(With(spec::UserMap::kKeepId), kMachine).gids, (std::vector<IdRange>{{0, 0, 65536}}));
}

TEST(UserMap, OfAnOrdinaryUserIsTheNamespaceItIsIn) {
  EXPECT_FALSE(Map(With({}, true), kLent).enabled);
  EXPECT_FALSE(NeedOf(With({}, true), kLent));
}

TEST(UserMap, KeepIdPutsSubordinateIdsAround) {
  EXPECT_EQ(Map(With(spec::UserMap::kKeepId), kLent).uids,
            (std::vector<IdRange>{{0, 1, 1000}, {1000, 0, 1}, {1001, 1001, 64536}}));
  EXPECT_EQ(Map(With(spec::UserMap::kKeepId), kAlone).uids, (std::vector<IdRange>{{1000, 0, 1}}));
}

TEST(UserMap, IsSeenFromOutsideOfOurs) {
  EXPECT_FALSE(SeenFromOutside(Map(With({}), kMachine), kMachine).enabled);
  const auto keep = Map(With(spec::UserMap::kKeepId), kMachine);
  EXPECT_EQ(SeenFromOutside(keep, kMachine), keep);
  const auto none = SeenFromOutside(Map(With({}), kAlone), kAlone);
  EXPECT_TRUE(none.enabled);
  EXPECT_EQ(none.uids, (std::vector<IdRange>{{0, 1000, 1}}));
  EXPECT_EQ(SeenFromOutside(Map(With(spec::UserMap::kKeepId), kAlone), kAlone).gids,
            (std::vector<IdRange>{{1000, 1000, 1}}));
  EXPECT_EQ(SeenFromOutside(Map(With(spec::UserMap::kKeepId), kLent), kLent).uids,
            (std::vector<IdRange>{{0, 100000, 1000}, {1000, 1000, 1}, {1001, 101000, 64536}}));
  // A range that lies across two of ours.
  const UserNamespace across{true, {{5, 0, 3}}, {{5, 0, 3}}};
  EXPECT_EQ(SeenFromOutside(across, kLent).uids, (std::vector<IdRange>{{5, 1000, 1}, {6, 100000, 2}}));
}

TEST(UserMap, NomapHasSubordinateIdsOnly) {
  EXPECT_EQ(Map(With(spec::UserMap::kNomap), kLent).uids, (std::vector<IdRange>{{0, 1, 65536}}));
  const auto none = MapUsers(With(spec::UserMap::kNomap), kAlone, {});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kUnsupported);
}

TEST(UserMap, AutoOfAnOrdinaryUserIsASliceOfThem) {
  const auto need = NeedOf(With(spec::UserMap::kAuto), kLent);
  ASSERT_TRUE(need);
  EXPECT_EQ(need->from, (sys::IdSpan{1, 65536}));
  EXPECT_EQ(need->count, 4096U);
}

TEST(UserMap, KeepIdIsTheCallerInsideToo) {
  auto service = With(spec::UserMap::kKeepId);
  EXPECT_EQ(DefaultUser(service, kLent), (spec::Owner{"1000", "1000"}));
  EXPECT_EQ(DefaultUser(service, kMachine), spec::Owner());
  EXPECT_EQ(DefaultUser(With({}, true), kLent), spec::Owner());
  service.user = {"12", ""};
  EXPECT_EQ(DefaultUser(service, kLent), (spec::Owner{"12", ""}));
}

TEST(UserMap, SaysWhichIdIsMissing) {
  EXPECT_TRUE(CheckMapped({0, 0, {}}, {}, kAlone));
  const auto user = CheckMapped({33, 0, {}}, {}, kAlone);
  ASSERT_FALSE(user);
  EXPECT_NE(user.error().Message().find("user 33"), std::string::npos);
  const auto group = CheckMapped({0, 0, {70000}}, {}, kLent);
  ASSERT_FALSE(group);
  EXPECT_NE(group.error().Message().find("group 70000"), std::string::npos);
}

}  // namespace
}  // namespace nucleus::security
