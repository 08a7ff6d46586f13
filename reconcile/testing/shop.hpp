// A small topology whose plans are looked at, and the machine that it is applied to.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "reconcile/testing/world.hpp"

namespace nucleus::reconcile::testing {

// A database with its volume, a job that loads it, and a web server on a published port.
inline spec::Topology Shop() {
  spec::Topology shop;
  shop.name = "shop";
  shop.networks["internal"] = {"internal", spec::Ipv4Net{{0x0a2a0000}, 24}, {}, {}, false, 0, {}};
  spec::Volume data;
  data.name = "data";
  data.path = "/srv/data";
  shop.volumes["data"] = data;
  spec::Service db;
  db.name = "db";
  db.mode = spec::ServiceMode::kAgent;
  db.command = {"postgres"};
  db.memory = Bytes{512} << 20;
  db.networks = {"internal"};
  db.volumes = {{"data", "", "/var/lib/data", false, false}};
  db.health.emplace();
  spec::Service migrate = db;
  migrate.name = "migrate";
  migrate.type = spec::ServiceType::kJob;
  migrate.command = {"load"};
  migrate.volumes.clear();
  migrate.health.reset();
  migrate.depends_on = {{"db", spec::Condition::kHealthy, false}};
  spec::Service web = migrate;
  web.name = "web";
  web.type = spec::ServiceType::kService;
  web.command = {"serve"};
  web.port_forwards = {{std::nullopt, 8080, 80, spec::Protocol::kTcp}};
  web.depends_on = {{"migrate", spec::Condition::kCompleted, false}, {"db", spec::Condition::kHealthy, true}};
  shop.services = {{"db", db}, {"migrate", migrate}, {"web", web}};
  return shop;
}

template <class Set>
Options With(Set set) {
  Options options;
  set(options);
  return options;
}

class ShopPlanner : public ::testing::Test {
 protected:
  void Start() {
    const auto ran = world.Converge(&shop);
    for (const auto& [step, error] : ran.failed) ADD_FAILURE() << step << ": " << error.Message();
    ASSERT_TRUE(ran.ok());
  }
  Plan Planned(const Options& options = {}) {
    auto plan = world.MakePlan(&shop, options);
    EXPECT_TRUE(plan.has_value()) << plan.error().Message();
    return plan.value_or(Plan{});
  }
  static std::vector<std::string> Steps(const Plan& plan) {
    std::vector<std::string> steps;
    for (const auto& step : plan.steps) steps.push_back(step.Text());
    return steps;
  }
  static const Change* Find(const Plan& plan, const std::string& address) {
    const auto found = std::find_if(plan.changes.begin(), plan.changes.end(),
                                    [&](const auto& change) { return change.address.Text() == address; });
    return found == plan.changes.end() ? nullptr : &*found;
  }
  static std::size_t At(const Plan& plan, const std::string& step) {
    const auto steps = Steps(plan);
    const auto found = std::find(steps.begin(), steps.end(), step);
    EXPECT_NE(found, steps.end()) << "no step " << step;
    return static_cast<std::size_t>(found - steps.begin());
  }

  World world;
  spec::Topology shop = Shop();
};

}  // namespace nucleus::reconcile::testing
