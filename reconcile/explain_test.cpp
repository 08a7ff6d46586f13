#include "reconcile/explain.hpp"

#include <gtest/gtest.h>

#include "reconcile/plan_json.hpp"

namespace nucleus::reconcile {
namespace {

const std::vector<std::string> kFiles{"shop.toml"};

Change Of(std::string_view address, Action action, std::vector<Reason> reasons) {
  return {*Address::Parse(address), action, false, false, std::move(reasons)};
}

Reason Because(Reason::Type type, std::string text, std::uint32_t line = 0) {
  return {type, std::move(text), "", {0, line, 1}};
}

// The plan of CLI.md, in another order than it is printed in.
Plan Example() {
  Plan plan;
  plan.project = "shop";
  plan.base_revision = 3;
  plan.digest = Sha256::Of("plan");
  plan.changes.push_back(
      Of("network.front", Action::kNone, {Because(Reason::Type::kDrift, "not readable without CAP_NET_ADMIN")}));
  plan.changes.back().unknown = true;
  plan.changes.push_back(Of("service.api", Action::kReplace, {Because(Reason::Type::kChanged, "rootfs changed", 31)}));
  plan.changes.push_back(Of("service.db", Action::kLive, {Because(Reason::Type::kChanged, "memory 512M → 1G", 14)}));
  plan.changes.push_back(Of("service.web", Action::kLive, {Because(Reason::Type::kDrift, "nft egress rules missing")}));
  plan.changes.back().drift = true;
  plan.changes.push_back(Of("volume.cache", Action::kCreate, {Because(Reason::Type::kNew, "new", 8)}));
  Step bridge;
  bridge.key = {"shop", {Kind::kNetwork, "front"}, Part::kBridge};
  Step netns;
  netns.key = {"shop", {Kind::kService, "web"}, Part::kNetns};
  netns.after = {0};
  plan.steps = {bridge, netns};
  return plan;
}

TEST(Explain, ReadsAsPromised) {
  const std::string digest = ShortDigest(Example().digest);
  EXPECT_EQ(Explain(Example(), kFiles, {}),
            "shop: 1 replace, 1 live, 1 create · 1 drift · 1 unreadable · plan " + digest +
                "…\n"
                "  -/+ service.api    replace  rootfs changed                      shop.toml:31\n"
                "  ~   service.db     live     memory 512M → 1G                    shop.toml:14\n"
                "  +   volume.cache   create                                       shop.toml:8\n"
                "  !   service.web    drift    nft egress rules missing → restore\n"
                "  ?   network.front  not readable without CAP_NET_ADMIN\n");
}

TEST(Explain, DestroyingLinesComeFirstAndAreNeverLeftOut) {
  Plan plan = Example();
  plan.changes.push_back(
      Of("volume.old", Action::kDestroy, {Because(Reason::Type::kRemoved, "not in the file any more")}));
  EXPECT_EQ(Explain(plan, kFiles, {}).find("  -   volume.old"), Explain(plan, kFiles, {}).find('\n') + 1);
  const std::string summary = Explain(plan, kFiles, {.summary_only = true});
  EXPECT_NE(summary.find("volume.old"), std::string::npos);
  EXPECT_NE(summary.find("service.api"), std::string::npos);
  EXPECT_EQ(summary.find("service.db"), std::string::npos);
}

TEST(Explain, FurtherReasonsStandBelow) {
  Plan plan;
  plan.project = "shop";
  plan.changes.push_back(
      Of("service.web", Action::kRestart,
         {Because(Reason::Type::kChanged, "command changed", 4), Because(Reason::Type::kDrift, "lo is down"),
          Because(Reason::Type::kChanged, "memory set to 1G", 7)}));
  const std::string text = Explain(plan, kFiles, {});
  EXPECT_NE(text.find("  ±   service.web  restart  command changed              shop.toml:4\n"
                      "                            drift: lo is down → restart\n"
                      "                            memory set to 1G             shop.toml:7\n"),
            std::string::npos)
      << text;
}

TEST(Explain, NothingToDoIsSaid) {
  Plan plan;
  plan.project = "shop";
  plan.warnings.push_back("service.web memory: not held");
  EXPECT_EQ(Explain(plan, {}, {}),
            "shop: nothing to do · plan " + ShortDigest(plan.digest) + "…\n  warning: service.web memory: not held\n");
}

TEST(Explain, NothingReachesTheTerminalRaw) {
  Plan plan;
  plan.project = "shop";
  plan.changes.push_back(Of("service.web", Action::kLive, {Because(Reason::Type::kChanged, "label \x1b[2J set")}));
  const std::string text = Explain(plan, kFiles, {});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("\\x1b[2J"), std::string::npos);
  EXPECT_NE(Explain(plan, kFiles, {.colour = true}).find("\x1b[36m~"), std::string::npos);
}

TEST(PlanJson, ShowsWhatIsReadBack) {
  const Plan plan = Example();
  const std::string text = PlanJson(plan, kFiles);
  EXPECT_NE(text.find("\"format_version\":1"), std::string::npos);
  EXPECT_NE(text.find("\"digest\":\"sha256:" + plan.digest.Hex()), std::string::npos);
  std::vector<std::string> files;
  const auto again = PlanFromJson(text, files);
  ASSERT_TRUE(again) << again.error().Message();
  EXPECT_EQ(Explain(*again, files, {}), Explain(plan, kFiles, {}));
}

TEST(PlanJson, RefusesGarbage) {
  std::vector<std::string> files;
  for (const char* text :
       {"", "{", "[]", "{}", "{\"format_version\":1}", "null",
        "{\"format_version\":1,\"project\":\"a\",\"base_revision\":1,\"digest\":\"x\",\"changes\":[]}"}) {
    const auto plan = PlanFromJson(text, files);
    ASSERT_FALSE(plan) << text;
  }
  EXPECT_EQ(PlanFromJson("{\"format_version\":99}", files).error().code, ErrorCode::kUnsupported);
}

TEST(PlanJson, EventsAreOneALine) {
  const Plan plan = Example();
  const std::string events = PlanEvents(plan, kFiles);
  EXPECT_EQ(std::count(events.begin(), events.end(), '\n'), 6);
  Event event;
  event.type = Event::Type::kStepFailed;
  event.step = 1;
  event.text = "line\nline \xff";  // text from outside, no UTF-8
  const std::string line = StepEvent(plan, event);
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_NE(line.find("\"type\":\"step_failed\""), std::string::npos);
  EXPECT_NE(line.find("service.web/netns"), std::string::npos);
  Outcome outcome;
  outcome.failed.emplace_back(1, Error::Of(ErrorCode::kConflict, "make", "veth", "in use").Hint("wait"));
  const std::string finished = FinishedEvent(plan, outcome, 4, "failed");
  EXPECT_NE(finished.find("\"message\":\"make veth: in use\""), std::string::npos);
  EXPECT_NE(finished.find("\"hint\":\"wait\""), std::string::npos);
}

TEST(Graph, IsWrittenInThreeForms) {
  const Plan plan = Example();
  const std::string dot = GraphText(plan, GraphFormat::kDot);
  EXPECT_NE(dot.find("digraph \"shop\""), std::string::npos);
  EXPECT_NE(dot.find("s0 -> s1;"), std::string::npos);
  EXPECT_NE(GraphText(plan, GraphFormat::kMermaid).find("s0 --> s1\n"), std::string::npos);
  EXPECT_NE(GraphText(plan, GraphFormat::kJson).find("\"edges\":[[0,1]]"), std::string::npos);
}

}  // namespace
}  // namespace nucleus::reconcile
