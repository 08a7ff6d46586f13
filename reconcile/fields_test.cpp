#include "reconcile/fields.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace nucleus::reconcile {
namespace {

using spec::Scope;

TEST(Fields, EverySupportedKeyHasARow) {
  for (const auto& key : spec::Keys()) {
    if (!key.supported || key.scope == Scope::kTopology) continue;
    const auto rules = FieldRules();
    EXPECT_TRUE(std::any_of(rules.begin(), rules.end(),
                            [&](const auto& rule) { return rule.scope == key.scope && rule.key == key.name; }))
        << "no rule for " << key.name;
  }
}

TEST(Fields, EveryRowIsOfAKeyThatExists) {
  for (const auto& rule : FieldRules()) EXPECT_NE(spec::FindKey(rule.scope, rule.key), nullptr) << rule.key;
}

TEST(Fields, WhatTheIssueCallsLiveIsLive) {
  for (const auto* key :
       {"memory", "cpus", "cpu_weight", "pids", "io_limits", "health_check", "health_interval", "restart", "labels",
        "port_forwards", "protect", "depends_on", "dns", "memory_high", "memory_swap"}) {
    EXPECT_EQ(RuleOf(Scope::kService, key).effect, Effect::kLive) << key;
  }
  EXPECT_EQ(RuleOf(Scope::kService, "command").effect, Effect::kRestart);
  EXPECT_EQ(RuleOf(Scope::kService, "rootfs").effect, Effect::kReplace);
}

TEST(Fields, ContentsOfMountedFilesAreApartFromOtherContents) {
  EXPECT_EQ(RuleOf(Scope::kService, "volumes:/etc/app.conf#contents").effect, Effect::kSignal);
  EXPECT_EQ(RuleOf(Scope::kService, "env_file#contents").effect, Effect::kRestart);
  EXPECT_EQ(RuleOf(Scope::kService, "secrets:/run/secrets/a#contents").effect, Effect::kRestart);
  EXPECT_EQ(RuleOf(Scope::kService, "secrets:/run/secrets/a#contents").home, Home::kRecord);
  EXPECT_EQ(RuleOf(Scope::kService, "never-heard-of").effect, Effect::kRestart);
}

TEST(Fields, DigestsAreOverTheirOwnFields) {
  const spec::Fields fields = {{"command", "[\"a\"]"}, {"memory", "\"1G\""}, {"restart", "\"always\""}};
  auto limits = fields;
  limits[1].value = "\"2G\"";
  EXPECT_EQ(DigestsOf(fields, false).workload, DigestsOf(limits, false).workload);
  EXPECT_EQ(DigestsOf(fields, false).policy, DigestsOf(limits, false).policy);
  auto policy = fields;
  policy[2].value = "\"no\"";
  EXPECT_EQ(DigestsOf(fields, false).workload, DigestsOf(policy, false).workload);
  EXPECT_NE(DigestsOf(fields, false).policy, DigestsOf(policy, false).policy);
  auto command = fields;
  command[0].value = "[\"b\"]";
  EXPECT_NE(DigestsOf(fields, false).workload, DigestsOf(command, false).workload);
}

}  // namespace
}  // namespace nucleus::reconcile
