// Every method of the store, on real files.
#include "state/store.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <thread>

#include "spec/net.hpp"
#include "state/testing.hpp"

namespace nucleus::state {
namespace {

Address Service(const std::string& name) {
  return {Kind::kService, name};
}
Address Net(const std::string& name) {
  return {Kind::kNetwork, name};
}
PartKey Key(const std::string& project, const std::string& service, Part part) {
  return {project, Service(service), part};
}
spec::Ipv4Net Subnet(const char* text) {
  return spec::ParseIpv4Net(text).value();
}
spec::Ipv4 Ip(const char* text) {
  return spec::ParseIpv4(text).value();
}
spec::PortForward Port(const char* text) {
  return spec::ParsePortForward(text).value();
}

Store::NewRevision Revision(const std::string& project, std::uint64_t base) {
  Store::NewRevision revision;
  revision.project = project;
  revision.spec_json = R"({"name":")" + project + "\"}";
  revision.summary = "1 create";
  revision.plan_digest = "abc";
  revision.base_revision = base;
  return revision;
}

TEST_F(StoreTest, WhatGoesAtItsEndStaysSoUntilSomebodySaysOtherwise) {
  Store store = Writer();
  auto revision = Revision("shop", 0);
  ASSERT_OK(store.BeginRevision(revision));
  EXPECT_EQ(store.ProjectsThatGoAtTheirEnd().value(), std::vector<std::string>{});
  for (std::uint64_t base = 1; const auto& [asked, goes] :
                               std::vector<std::pair<std::optional<Origin>, bool>>{{Origin::kCommandUntilItEnds, true},
                                                                                   {std::nullopt, true},
                                                                                   {Origin::kCommand, false},
                                                                                   {std::nullopt, false},
                                                                                   {Origin::kFiles, false}}) {
    revision.base_revision = base++;
    revision.origin = asked;
    ASSERT_OK(store.BeginRevision(revision));
    EXPECT_EQ(store.ProjectsThatGoAtTheirEnd().value().size(), goes ? 1U : 0U) << base;
    EXPECT_EQ(store.LoadProject("shop").value()->origin == Origin::kCommandUntilItEnds, goes);
  }
}

TEST_F(StoreTest, WhoAsksForAProjectMayChangeWithoutARevision) {
  Store store = Writer();
  auto revision = Revision("shop", 0);
  revision.origin = Origin::kCommandUntilItEnds;
  ASSERT_OK(store.BeginRevision(revision));
  revision.project = "other";
  ASSERT_OK(store.BeginRevision(revision));
  ASSERT_OK(store.SetOrigin("shop", Origin::kFiles));
  EXPECT_EQ(store.LoadProject("shop").value()->origin, Origin::kFiles);
  EXPECT_EQ(store.ProjectsThatGoAtTheirEnd().value(), std::vector<std::string>{"other"});
  ASSERT_OK(store.SetOrigin("nobody", Origin::kFiles));
  EXPECT_FALSE(store.LoadProject("nobody").value());
}

TEST_F(StoreTest, ARevisionIsFinishedWithItsLastResourcesOrNotAtAll) {
  Store store = Writer();
  ASSERT_OK(store.BeginRevision(Revision("shop", 0)));
  const std::array changes{Store::ResourceChange{Service("web"), ResourceRow{Service("web"), "{}", 1}}};
  EXPECT_EQ(store.FinishRevision("shop", 7, RevisionState::kApplied, changes).error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(store.LoadProject("shop").value()->resources.empty());
  ASSERT_OK(store.FinishRevision("shop", 1, RevisionState::kApplied, changes));
  EXPECT_EQ(store.LoadProject("shop").value()->resources.size(), 1U);
  EXPECT_EQ(store.LastRevision("shop").value()->state, RevisionState::kApplied);
}

TEST_F(StoreTest, AProjectReadsBackAsItWasWritten) {
  Store store = Writer();
  auto revision = Revision("shop", 0);
  revision.single_container = true;
  revision.addresses = {{"service.web/internal", Ip("10.42.0.2")}, {"service.db/internal", Ip("10.42.0.3")}};
  revision.subnets = {{"network.internal", Subnet("10.42.0.0/24")}};
  revision.ports = {{"web", Port("127.0.0.1:8080:80")}, {"web", Port("53:53/udp")}};
  ASSERT_EQ(store.BeginRevision(revision).value(), 1U);
  ASSERT_OK(store.PutResource("shop", {Service("web"), R"({"a":1})", 1}));
  ASSERT_OK(store.PutResource("shop", {Net("internal"), "{}", 1}));
  ASSERT_OK(store.PutCompletedJob("shop", "migrate", Sha256::Of("x")));
  ASSERT_OK(store.FinishRevision("shop", 1, RevisionState::kApplied));

  auto reader = Reader();
  ASSERT_OK(reader);
  EXPECT_EQ(reader->Projects().value(), std::vector<std::string>{"shop"});
  const auto project = reader->LoadProject("shop").value();
  ASSERT_TRUE(project);
  EXPECT_EQ(project->name, "shop");
  EXPECT_EQ(project->revision, 1U);
  EXPECT_TRUE(project->single_container);
  ASSERT_EQ(project->resources.size(), 2U);
  EXPECT_EQ(project->resources[0].address, Net("internal"));
  EXPECT_EQ(project->resources[1].address, Service("web"));
  EXPECT_EQ(project->resources[1].spec_json, R"({"a":1})");
  EXPECT_EQ(project->addresses, revision.addresses);
  EXPECT_EQ(project->subnets, revision.subnets);
  EXPECT_EQ(project->completed_jobs.at("migrate"), Sha256::Of("x"));

  const auto leases = reader->Leases().value();
  ASSERT_EQ(leases.subnets.size(), 1U);
  EXPECT_EQ(leases.subnets[0].second.first, "network.internal");
  ASSERT_EQ(leases.ports.size(), 2U);
  EXPECT_EQ(leases.ports[0].second.second, Port("53:53/udp"));
  EXPECT_EQ(leases.ports[1].second.second, Port("127.0.0.1:8080:80"));

  const auto revisions = reader->Revisions("shop").value();
  ASSERT_EQ(revisions.size(), 1U);
  EXPECT_EQ(revisions[0].state, RevisionState::kApplied);
  EXPECT_EQ(revisions[0].spec_json, revision.spec_json);
  EXPECT_EQ(revisions[0].summary, "1 create");
  EXPECT_EQ(revisions[0].plan_digest, "abc");
  EXPECT_GT(revisions[0].time_ms, 1'600'000'000'000);
}

TEST_F(StoreTest, AProjectWhoseNameIsAPrefixIsAnother) {
  Store store = Writer();
  ASSERT_OK(store.BeginRevision(Revision("shop", 0)));
  ASSERT_OK(store.BeginRevision(Revision("shop-two", 0)));
  ASSERT_OK(store.PutResource("shop-two", {Service("web"), "{}", 1}));
  EXPECT_TRUE(store.LoadProject("shop").value()->resources.empty());
  ASSERT_OK(store.RemoveProject("shop", true));
  EXPECT_EQ(store.Projects().value(), std::vector<std::string>{"shop-two"});
  EXPECT_EQ(store.Revisions("shop-two").value().size(), 1U);
}

TEST_F(StoreTest, AStalePlanIsRefused) {
  Store store = Writer();
  ASSERT_EQ(store.BeginRevision(Revision("shop", 0)).value(), 1U);
  const auto stale = store.BeginRevision(Revision("shop", 0));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kStale);
  EXPECT_EQ(store.BeginRevision(Revision("shop", 1)).value(), 2U);
  EXPECT_EQ(store.Revisions("shop").value().size(), 2U) << "nothing is left of the refused one";
}

TEST_F(StoreTest, HistoryOutlivesItsProjectAndNumbersAreNotGivenTwice) {
  Store store = Writer();
  ASSERT_OK(store.BeginRevision(Revision("shop", 0)));
  ASSERT_OK(store.PutResource("shop", {Service("web"), "{}", 1}));
  const auto refused = store.RemoveProject("shop", false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  ASSERT_OK(store.RemoveResource("shop", Service("web")));
  ASSERT_OK(store.RemoveProject("shop", false));
  EXPECT_EQ(store.LoadProject("shop").value().has_value(), false);
  EXPECT_EQ(store.Revisions("shop").value().size(), 1U);
  EXPECT_EQ(store.BeginRevision(Revision("shop", 0)).value(), 2U);
  ASSERT_OK(store.RemoveProject("shop", true));
  EXPECT_TRUE(store.Revisions("shop").value().empty());
  EXPECT_EQ(store.FinishRevision("shop", 7, RevisionState::kFailed).error().code, ErrorCode::kNotFound);
}

TEST_F(StoreTest, OfALongHistoryTheNewestAreKeptAndTheOneToGoBackTo) {
  Store store = Writer();
  constexpr std::uint64_t kLast = kKeptRevisions + 20;
  const auto history = [&](const std::string& project, std::uint64_t applied) {
    for (std::uint64_t i = 1; i <= kLast; ++i) {
      EXPECT_EQ(store.BeginRevision(Revision(project, i - 1)).value(), i);
      const auto state = i == applied ? RevisionState::kApplied : RevisionState::kFailed;
      EXPECT_TRUE(store.FinishRevision(project, i, state).has_value());
    }
    std::vector<std::uint64_t> numbers;
    const auto rows = store.Revisions(project).value();
    for (const auto& row : rows) numbers.push_back(row.number);
    return numbers;
  };
  const auto once = history("shop", 5);
  ASSERT_EQ(once.size(), static_cast<std::size_t>(kKeptRevisions) + 1);
  EXPECT_EQ(once.front(), 5U);
  EXPECT_EQ(once.back(), kLast);
  const auto never = history("blog", 0);
  ASSERT_EQ(never.size(), static_cast<std::size_t>(kKeptRevisions));
  EXPECT_EQ(never.back(), kLast);
}

TEST_F(StoreTest, ConflictsNameTheOtherProjectAndLeaveNothing) {
  Store store = Writer();
  auto shop = Revision("shop", 0);
  shop.subnets = {{"network.front", Subnet("10.42.0.0/16")}};
  shop.ports = {{"web", Port("8080:80")}};
  ASSERT_OK(store.BeginRevision(shop));

  auto subnet = Revision("blog", 0);
  subnet.subnets = {{"network.n", Subnet("10.42.7.0/24")}};
  const auto overlapping = store.BeginRevision(subnet);
  ASSERT_FALSE(overlapping);
  EXPECT_EQ(overlapping.error().code, ErrorCode::kConflict);
  EXPECT_NE(overlapping.error().Message().find("shop/network.front"), std::string::npos)
      << overlapping.error().Message();

  for (const auto& [port, taken] : std::initializer_list<std::pair<const char*, bool>>{
           {"127.0.0.1:8080:1", true}, {"8080:2", true}, {"8080:2/udp", false}, {"8081:80", false}}) {
    auto blog = Revision("blog", 0);
    blog.ports = {{"web", Port(port)}};
    const auto begun = store.BeginRevision(blog);
    EXPECT_EQ(begun.has_value(), !taken) << port;
    if (!begun) {
      EXPECT_NE(begun.error().Message().find("shop/service.web"), std::string::npos) << begun.error().Message();
      EXPECT_EQ(store.LoadProject("blog").value().has_value(), false);
    } else {
      ASSERT_OK(store.RemoveProject("blog", true));
    }
  }
}

TEST_F(StoreTest, TwoSpecificAddressesShareAPort) {
  Store store = Writer();
  auto shop = Revision("shop", 0);
  shop.ports = {{"web", Port("127.0.0.1:80:80")}};
  ASSERT_OK(store.BeginRevision(shop));
  auto blog = Revision("blog", 0);
  blog.ports = {{"web", Port("127.0.0.2:80:80")}};
  EXPECT_TRUE(store.BeginRevision(blog));
}

TEST_F(StoreTest, LeasesGoWithTheirResource) {
  Store store = Writer();
  auto revision = Revision("shop", 0);
  revision.addresses = {{"service.web/internal", Ip("10.42.0.2")}, {"service.db/internal", Ip("10.42.0.3")}};
  revision.subnets = {{"network.internal", Subnet("10.42.0.0/24")}};
  revision.ports = {{"web", Port("80:80")}};
  ASSERT_OK(store.BeginRevision(revision));
  for (const auto* name : {"web", "db"}) ASSERT_OK(store.PutResource("shop", {Service(name), "{}", 1}));
  ASSERT_OK(store.PutResource("shop", {Net("internal"), "{}", 1}));
  ASSERT_OK(store.PutCompletedJob("shop", "web", Sha256::Of("x")));

  // A plan for a part of the project leaves the other leases alone.
  auto partial = Revision("shop", 1);
  partial.ports = revision.ports;
  ASSERT_OK(store.BeginRevision(partial));
  EXPECT_EQ(store.LoadProject("shop").value()->addresses.size(), 2U);
  EXPECT_EQ(store.LoadProject("shop").value()->subnets.size(), 1U);

  ASSERT_OK(store.RemoveResource("shop", Service("web")));
  auto project = store.LoadProject("shop").value();
  EXPECT_EQ(project->addresses, (std::map<std::string, spec::Ipv4>{{"service.db/internal", Ip("10.42.0.3")}}));
  EXPECT_TRUE(project->completed_jobs.empty());
  EXPECT_TRUE(store.Leases().value().ports.empty());
  ASSERT_OK(store.RemoveResource("shop", Net("internal")));
  project = store.LoadProject("shop").value();
  EXPECT_TRUE(project->addresses.empty());
  EXPECT_TRUE(project->subnets.empty());
}

TEST_F(StoreTest, LeasesOfWhatNeverCameToBeAreGivenBack) {
  Store store = Writer();
  auto revision = Revision("shop", 0);
  revision.subnets = {{"network.wrong", Subnet("10.1.0.0/24")}};
  revision.addresses = {{"service.wrong/wrong", Ip("10.1.0.2")}};
  ASSERT_OK(store.BeginRevision(revision));
  ASSERT_OK(store.BeginRevision(Revision("shop", 1)));
  const auto project = store.LoadProject("shop").value();
  EXPECT_TRUE(project->subnets.empty());
  EXPECT_TRUE(project->addresses.empty());
}

TEST_F(StoreTest, NoAddressIsLeasedTwiceInANetwork) {
  Store store = Writer();
  auto revision = Revision("shop", 0);
  revision.addresses = {{"service.a/n", Ip("10.1.0.2")}, {"service.b/n", Ip("10.1.0.2")}};
  const auto begun = store.BeginRevision(revision);
  ASSERT_FALSE(begun);
  EXPECT_EQ(begun.error().code, ErrorCode::kConflict);
  EXPECT_NE(begun.error().Message().find("service.a and service.b"), std::string::npos) << begun.error().Message();
}

TEST_F(StoreTest, TheJournalHoldsWhatIsOpen) {
  Store store = Writer();
  const auto one = store.JournalIntent(Key("shop", "web", Part::kNetns), "apply", "service.web/netns").value();
  const auto two = store.JournalIntent(Key("shop", "db", Part::kCgroup), "undo", "service.db/cgroup").value();
  const auto other = store.JournalIntent(Key("blog", "web", Part::kNetns), "apply", "service.web/netns").value();
  EXPECT_NE(one, two);
  ASSERT_OK(store.JournalDone(one));
  auto reader = Reader().value();
  const auto open = reader.OpenIntents("shop").value();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].id, two);
  EXPECT_EQ(open[0].key, Key("shop", "db", Part::kCgroup));
  EXPECT_EQ(open[0].verb, "undo");
  EXPECT_EQ(open[0].step, "service.db/cgroup");
  EXPECT_EQ(open[0].project, "shop");
  ASSERT_OK(store.CloseIntents("shop"));
  EXPECT_TRUE(store.OpenIntents("shop").value().empty());
  EXPECT_EQ(store.OpenIntents("blog").value().at(0).id, other);
  const auto later = store.JournalIntent(Key("shop", "web", Part::kNetns), "apply", "x").value();
  EXPECT_GT(later, other) << "numbers are not used again";
}

TEST_F(StoreTest, AnIntentIsJournalledWithTheResultsOfOthers) {
  Store store = Writer();
  const auto made = Key("shop", "web", Part::kNetns), removed = Key("shop", "web", Part::kNames);
  Observation present;
  present.presence = Presence::kPresent;
  ASSERT_OK(store.PutObservation(removed, present));
  const std::vector<Store::JournalResult> done{
      {.id = store.JournalIntent(made, "apply", "one").value(), .seen = {{made, present}}},
      {.id = store.JournalIntent(removed, "undo", "two").value(), .seen = {{removed, Observation{}}}},
      {.id = store.JournalIntent(made, "signal", "three").value(), .seen = {}}};
  const auto next = store.JournalIntent(Key("shop", "db", Part::kNetns), "apply", "four", done).value();
  const auto open = store.OpenIntents("shop").value();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].id, next);
  const auto seen = store.LoadObservations("shop").value();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen.begin()->first, made);
}

TEST_F(StoreTest, FactsAreKeptAndForgotten) {
  Store store = Writer();
  EXPECT_EQ(store.GetFact("ip_forward").value(), std::nullopt);
  ASSERT_OK(store.PutFact("ip_forward", "0"));
  ASSERT_OK(store.PutFact("ip_forward", "1"));
  EXPECT_EQ(store.GetFact("ip_forward").value(), "1");
  ASSERT_OK(store.PutFact("ip_forward", ""));
  EXPECT_EQ(store.GetFact("ip_forward").value(), "");
  ASSERT_OK(store.PutFact("ip_forward", std::nullopt));
  EXPECT_EQ(store.GetFact("ip_forward").value(), std::nullopt);
}

rc::Gen<Facts> AnyFacts() {
  return rc::gen::map<std::map<std::string, std::string>>([](const auto& pairs) {
    Facts facts;
    for (const auto& [name, value] : pairs) facts.emplace(name, value);
    return facts;
  });
}

TEST_F(StoreTest, AnyObservationReadsBack) {
  Store store = Writer();
  const auto key = Key("shop", "web", Part::kCgroup);
  EXPECT_TRUE(rc::check("PutObservation then LoadObservations", [&] {
    Observation observation;
    observation.presence = *rc::gen::element(Presence::kPresent, Presence::kUnreadable);
    observation.facts = *AnyFacts();
    observation.notes = *AnyFacts();
    observation.detail = *rc::gen::arbitrary<std::string>();
    // SQLite keeps text up to a NUL only when asked for it as a C string; ours is asked for with its length.
    RC_ASSERT(store.PutObservation(key, observation).has_value());
    const auto loaded = store.LoadObservations("shop");
    RC_ASSERT(loaded.has_value());
    RC_ASSERT(loaded->at(key) == observation);
  }));
  ASSERT_OK(store.PutObservation(key, Observation{}));
  EXPECT_TRUE(store.LoadObservations("shop").value().empty()) << "what is absent has no row";
}

TEST_F(StoreTest, ThreadsShareAStore) {
  Store store = Writer();
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, t] {
      const auto key = Key("shop", "s" + std::to_string(t), Part::kCgroup);
      for (int i = 0; i < 200; ++i) {
        const auto id = store.JournalIntent(key, "apply", key.Text());
        ASSERT_TRUE(id) << id.error().Message();
        Observation observation;
        observation.presence = Presence::kPresent;
        observation.facts = {{"i", std::to_string(i)}};
        ASSERT_TRUE(store.PutObservation(key, observation));
        ASSERT_TRUE(store.JournalDone(*id));
      }
    });
  }
  threads.clear();
  const auto observations = store.LoadObservations("shop").value();
  ASSERT_EQ(observations.size(), 4U);
  for (const auto& [key, observation] : observations) EXPECT_EQ(observation.facts.at("i"), "199");
  EXPECT_TRUE(store.OpenIntents("shop").value().empty());
}

TEST_F(StoreTest, AStoreForReadingDoesNotWrite) {
  {
    Store store = Writer();
  }
  Store reader = Reader().value();
  EXPECT_FALSE(reader.BeginRevision(Revision("shop", 0)));
  EXPECT_FALSE(reader.PutResource("shop", {Service("web"), "{}", 1}));
  EXPECT_FALSE(reader.RemoveResource("shop", Service("web")));
  EXPECT_FALSE(reader.PutCompletedJob("shop", "a", std::nullopt));
  EXPECT_FALSE(reader.RemoveProject("shop", true));
  EXPECT_FALSE(reader.FinishRevision("shop", 1, RevisionState::kApplied));
  EXPECT_FALSE(reader.JournalIntent(Key("shop", "web", Part::kNetns), "a", "b"));
  EXPECT_FALSE(reader.JournalDone(1));
  EXPECT_FALSE(reader.CloseIntents("shop"));
  EXPECT_FALSE(reader.PutObservation(Key("shop", "web", Part::kNetns), {}));
  EXPECT_FALSE(reader.PutFact("a", "b"));
}

}  // namespace
}  // namespace nucleus::state
