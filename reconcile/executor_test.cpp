// The executor with the real store, in directories of its own, and a kernel in memory.
#include "reconcile/executor.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <thread>

#include "reconcile/applied.hpp"
#include "reconcile/observe.hpp"
#include "reconcile/planner.hpp"
#include "reconcile/recover.hpp"
#include "reconcile/testing/world.hpp"

namespace nucleus::reconcile {
namespace {

spec::Topology Pair() {
  spec::Topology topology;
  topology.name = "pair";
  spec::Network network;
  network.name = "net";
  topology.networks["net"] = network;
  spec::Service db;
  db.name = "db";
  db.mode = spec::ServiceMode::kAgent;
  db.command = {"serve"};
  db.networks = {"net"};
  spec::Service load = db;
  load.name = "load";
  load.type = spec::ServiceType::kJob;
  load.depends_on = {{"db", spec::Condition::kStarted, false}};
  spec::Service web = db;
  web.name = "web";
  web.depends_on = {{"load", spec::Condition::kCompleted, false}};
  topology.services = {{"db", db}, {"load", load}, {"web", web}};
  return topology;
}

class Executor : public ::testing::Test {
 protected:
  Executor() {
    std::string name = std::filesystem::temp_directory_path() / "nucleus-executor-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    base_ = name;
    directories_ = {base_ + "/state", base_ + "/runtime"};
    auto opened = state::Store::Open(directories_, state::Store::Access::kWrite);
    if (!opened) ADD_FAILURE() << opened.error().Message();
    store_.emplace(std::move(*opened));
    for (const auto part : kernel_.Parts()) {
      machinery_.probers[part] = &kernel_;
      machinery_.actuators[part] = &kernel_;
    }
    machinery_.waiter = &kernel_;
    host_.cgroup_usable = host_.privileged = true;
    host_.controllers = {"memory"};
  }
  ~Executor() override {
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }

  Result<Plan> MakePlan(const spec::Topology* desired) {
    const auto row = TRY(store_->LoadProject("pair"));
    const auto applied = TRY(ToApplied("pair", row));
    const auto leases = TRY(store_->Leases());
    const auto taken = ToTaken(leases, "pair");
    Options options;
    options.directories = directories_;
    options.destroy = desired == nullptr;
    auto wanted = TRY(WantedParts(desired, applied, host_, taken, options));
    const Observed observed{host_, TRY(reconcile::Observe("pair", wanted, machinery_.probers))};
    return reconcile::MakePlan({desired, &applied, &observed, &taken, options});
  }

  Outcome Apply(const spec::Topology* desired, RunOptions options = {}) {
    const auto plan = MakePlan(desired);
    if (!plan) {
      ADD_FAILURE() << plan.error().Message();
      return {};
    }
    const spec::Topology nothing;
    const auto revision = store_->BeginRevision(RevisionOf(*plan, desired ? *desired : nothing, "test"));
    EXPECT_TRUE(revision.has_value()) << revision.error().Message();
    events_.clear();
    options.revision = revision.value_or(0);
    options.on_event = [this](const Event& event) { events_.push_back(event); };
    auto outcome = reconcile::Run(*plan, desired, machinery_, *store_, options);
    for (const auto& [step, error] : outcome.failed) failures_ += error.Message() + "\n";
    return outcome;
  }

  static PartKey Key(const std::string& service, Part part) { return {"pair", {Kind::kService, service}, part}; }

  std::string base_;
  Directories directories_;
  std::optional<state::Store> store_;
  testing::FakeKernel kernel_;
  Machinery machinery_;
  Host host_;
  std::vector<Event> events_;
  std::string failures_;
};

TEST_F(Executor, AppliesRecordsAndHasNothingToDoThen) {
  const auto pair = Pair();
  const auto outcome = Apply(&pair);
  EXPECT_TRUE(outcome.ok()) << failures_;
  const auto row = *store_->LoadProject("pair");
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(row->resources.size(), 4u);
  EXPECT_TRUE(row->completed_jobs.contains("load"));
  EXPECT_TRUE(store_->OpenIntents("pair")->empty());
  EXPECT_TRUE(store_->LoadObservations("pair")->contains(Key("db", Part::kProcess)));
  EXPECT_FALSE(store_->LoadObservations("pair")->contains(Key("load", Part::kProcess)));
  const auto second = MakePlan(&pair);
  ASSERT_TRUE(second.has_value()) << second.error().Message();
  EXPECT_FALSE(second->HasChanges());
  EXPECT_TRUE(Apply(nullptr).ok()) << failures_;
  EXPECT_TRUE(kernel_.Keys().empty());
  EXPECT_TRUE((*store_->LoadProject("pair"))->resources.empty());
}

// While one service is waited for, the store tells of those that are there.
class LookingWaiter : public Waiter {
 public:
  LookingWaiter(Waiter& waiter, state::Store& store) : waiter_(waiter), store_(store) {}
  Result<> Wait(const PartKey& process, const ProcessWanted& wanted, Milestone milestone, Duration timeout) override {
    constexpr int kTries = 500;
    for (int i = 0; i < kTries && process.address.name == "load" && !told_; ++i) {
      const auto row = TRY(store_.LoadProject("pair"));
      told_ =
          row && std::ranges::count(row->resources, Address{Kind::kService, "db"}, &state::ResourceRow::address) == 1;
      if (!told_) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return waiter_.Wait(process, wanted, milestone, timeout);
  }
  Result<> Signal(const PartKey& process, const ProcessWanted& wanted, int signal) override {
    return waiter_.Signal(process, wanted, signal);
  }
  [[nodiscard]] bool told() const { return told_; }

 private:
  Waiter& waiter_;
  state::Store& store_;
  std::atomic<bool> told_ = false;
};

TEST_F(Executor, WhatIsThereIsWrittenWhileOthersAreWaitedFor) {
  LookingWaiter waiter(kernel_, *store_);
  machinery_.waiter = &waiter;
  const auto pair = Pair();
  EXPECT_TRUE(Apply(&pair).ok()) << failures_;
  EXPECT_TRUE(waiter.told());
}

TEST_F(Executor, AFailureSkipsWhatDependsOnItAndTheRestGoesOn) {
  kernel_.FailOn(Key("load", Part::kCgroup));
  const auto pair = Pair();
  const auto outcome = Apply(&pair);
  ASSERT_EQ(outcome.failed.size(), 1u) << failures_;
  EXPECT_FALSE(outcome.skipped.empty());
  EXPECT_TRUE(kernel_.Keys().contains(Key("db", Part::kProcess)));
  EXPECT_FALSE(kernel_.Keys().contains(Key("web", Part::kProcess)));
  const auto skipped = std::find_if(events_.begin(), events_.end(),
                                    [](const Event& event) { return event.type == Event::Type::kStepSkipped; });
  ASSERT_NE(skipped, events_.end());
  EXPECT_EQ(skipped->skipped_because, "service.load/cgroup");
  // The failed step stays open in the journal; retrying converges, and what is whole is not touched again.
  EXPECT_FALSE(FindInterrupted(*store_, "pair")->empty());
  kernel_.FailOnNothing();
  const auto starts = kernel_.StartsOf(Key("db", Part::kProcess));
  EXPECT_TRUE(Apply(&pair).ok()) << failures_;
  EXPECT_EQ(kernel_.StartsOf(Key("db", Part::kProcess)), starts);
  EXPECT_TRUE(CloseInterrupted(*store_, "pair").has_value());
  EXPECT_TRUE(FindInterrupted(*store_, "pair")->empty());
}

// Says that all went well and leaves something else behind.
class Liar : public Actuator {
 public:
  explicit Liar(testing::FakeKernel& kernel) : kernel_(kernel) {}
  [[nodiscard]] std::vector<Part> Parts() const override { return {Part::kCgroup}; }
  Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) override {
    TRY(kernel_.Apply(key, wanted, progress));
    kernel_.SetFact(key, "memory.max", "4096");
    return {};
  }
  Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                const ProgressSink& progress) override {
    return kernel_.Undo(key, wanted, options, progress);
  }

 private:
  testing::FakeKernel& kernel_;
};

TEST_F(Executor, BelievesTheProbeAndNotTheActuator) {
  Liar liar(kernel_);
  machinery_.actuators[Part::kCgroup] = &liar;
  const auto pair = Pair();
  EXPECT_FALSE(Apply(&pair).ok());
  EXPECT_NE(failures_.find("memory.max is '4096'"), std::string::npos) << failures_;
}

TEST_F(Executor, LosingTheObservedDatabaseRestartsNothing) {
  const auto pair = Pair();
  EXPECT_TRUE(Apply(&pair).ok()) << failures_;
  store_.reset();
  std::filesystem::remove_all(directories_.runtime);
  auto opened = state::Store::Open(directories_, state::Store::Access::kWrite);
  ASSERT_TRUE(opened.has_value()) << opened.error().Message();
  store_.emplace(std::move(*opened));
  EXPECT_FALSE(MakePlan(&pair)->HasChanges());
}

TEST_F(Executor, LosingBothDatabasesAdoptsWhatRuns) {
  const auto pair = Pair();
  EXPECT_TRUE(Apply(&pair).ok()) << failures_;
  store_.reset();
  std::filesystem::remove_all(base_);
  auto opened = state::Store::Open(directories_, state::Store::Access::kWrite);
  ASSERT_TRUE(opened.has_value()) << opened.error().Message();
  store_.emplace(std::move(*opened));
  const auto starts = kernel_.StartsOf(Key("web", Part::kProcess));
  EXPECT_TRUE(Apply(&pair).ok()) << failures_;
  EXPECT_EQ(kernel_.StartsOf(Key("web", Part::kProcess)), starts);
  EXPECT_FALSE(MakePlan(&pair)->HasChanges());
}

TEST_F(Executor, AnInterruptStartsNoNewStep) {
  const auto pair = Pair();
  std::atomic<bool> interrupt = true;
  RunOptions options;
  options.interrupt = &interrupt;
  const auto outcome = Apply(&pair, options);
  EXPECT_TRUE(outcome.interrupted);
  EXPECT_EQ(outcome.done, 0u);
  interrupt = false;
  EXPECT_TRUE(Apply(&pair, options).ok()) << failures_;
}

TEST_F(Executor, WhatAnotherCommandHasStoppedHasFailed) {
  const auto pair = Pair();
  kernel_.FailOn(Key("db", Part::kProcess), ErrorCode::kInterrupted);
  const std::atomic<bool> interrupt = false;
  RunOptions options;
  options.interrupt = &interrupt;
  const auto outcome = Apply(&pair, options);
  EXPECT_FALSE(outcome.interrupted);
  EXPECT_EQ(outcome.failed.size(), 1u);
  EXPECT_FALSE(outcome.skipped.empty());
}

// Waits until all of them wait at the same time; with one worker they only can if waiting needs none.
class Gate : public Waiter {
 public:
  explicit Gate(std::size_t expected) : expected_(expected) {}
  Result<> Wait(const PartKey& process, const ProcessWanted&, Milestone, Duration timeout) override {
    std::unique_lock lock(mutex_);
    here_.insert(process);
    changed_.notify_all();
    if (changed_.wait_for(lock, timeout, [&] { return here_.size() == expected_; })) return {};
    return Fail(ErrorCode::kTimeout, "wait for", process.Text(), "the others");
  }
  Result<> Signal(const PartKey&, const ProcessWanted&, int) override { return {}; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<PartKey> here_;
  std::size_t expected_;
};

TEST_F(Executor, WaitsDoNotUseUpWorkers) {
  auto topology = Pair();
  topology.services.erase("load");
  topology.services["web"].depends_on.clear();
  Gate gate(2);
  machinery_.waiter = &gate;
  RunOptions options;
  options.parallelism = 1;
  options.timeout = Duration(10'000);
  EXPECT_TRUE(Apply(&topology, options).ok()) << failures_;
}

// Services that have not started before one that is independent of them has, at the end of a chain of its own.
class Laggards : public Waiter {
 public:
  explicit Laggards(std::size_t expected) : expected_(expected) {}
  Result<> Wait(const PartKey& process, const ProcessWanted&, Milestone, Duration timeout) override {
    const std::string& name = process.address.name;
    std::unique_lock lock(mutex_);
    if (name.starts_with("late")) late_.insert(name);
    last_ = last_ || name == "last";
    changed_.notify_all();
    const auto reached = [&] { return name.starts_with("late") ? last_ : late_.size() == expected_; };
    if (changed_.wait_for(lock, timeout, reached)) return {};
    return Fail(ErrorCode::kTimeout, "wait for", process.Text(), "the others");
  }
  Result<> Signal(const PartKey&, const ProcessWanted&, int) override { return {}; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> late_;
  bool last_ = false;
  std::size_t expected_;
};

TEST_F(Executor, ServicesThatDoNotComeUpHoldUpNothingElse) {
  constexpr std::size_t kLate = 20;
  auto topology = Pair();
  auto service = topology.services["db"];
  topology.services.clear();
  const auto add = [&](const std::string& name) { (topology.services[name] = service).name = name; };
  for (std::size_t i = 0; i < kLate; ++i) add("late" + std::to_string(i));
  add("first");
  service.depends_on = {{"first", spec::Condition::kStarted, false}};
  add("last");
  Laggards waiter(kLate);
  machinery_.waiter = &waiter;
  RunOptions options;
  options.parallelism = 2;
  options.timeout = Duration(10'000);
  EXPECT_TRUE(Apply(&topology, options).ok()) << failures_;
}

TEST_F(Executor, EventsComeOneAtATimeAndEveryStepBeginsAndEnds) {
  const auto pair = Pair();
  EXPECT_TRUE(Apply(&pair).ok()) << failures_;
  std::map<std::uint32_t, int> open;
  for (const auto& event : events_) {
    if (event.type == Event::Type::kStepStarted) {
      EXPECT_EQ(open[event.step]++, 0);
    } else if (event.type == Event::Type::kStepDone) {
      EXPECT_EQ(open[event.step]++, 1);
    }
  }
  for (const auto& [step, count] : open) EXPECT_EQ(count, 2);
}

TEST_F(Executor, WhatIsRecordedIsWhatIsSeen) {
  const PartKey gone{"pair", {Kind::kService, "web"}, Part::kNames},
      there{"pair", {Kind::kService, "db"}, Part::kNetns};
  Observation present;
  present.presence = Presence::kPresent;
  present.facts["a"] = "b";
  ASSERT_TRUE(store_->PutObservation(gone, present));
  ASSERT_TRUE(RecordSeen(*store_, "pair", {{there, present}, {{"pair", {Kind::kService, "db"}, Part::kCgroup}, {}}}));
  const auto recorded = store_->LoadObservations("pair").value();
  ASSERT_EQ(recorded.size(), 1U);
  EXPECT_EQ(recorded.begin()->first, there);
}

}  // namespace
}  // namespace nucleus::reconcile
