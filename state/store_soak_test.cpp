// Many transactions of many writers at once: nobody is turned away, nothing is lost, and the files stay whole and
// small.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "state/schema.hpp"
#include "state/sqlite.hpp"
#include "state/testing.hpp"

namespace nucleus::state {
namespace {

constexpr int kWriters = 8;

// Of each writer; NUCLEUS_SOAK asks for more.
int Rounds() {
  const char* asked = std::getenv("NUCLEUS_SOAK");
  return asked == nullptr ? 40 : std::atoi(asked);
}

// Five transactions a round, as a step of an apply makes them.
int Write(const Directories& directories, int writer, int rounds) {
  auto store = Store::Open(directories, Store::Access::kWrite);
  if (!store) return 1;
  const std::string project = "p" + std::to_string(writer);
  const PartKey key{project, {Kind::kService, "web"}, Part::kNetns};
  for (int round = 0; round < rounds; ++round) {
    const auto intent = store->JournalIntent(key, "apply", key.Text());
    if (!intent) return 2;
    if (!store->PutObservation(key, {Presence::kPresent, {{"round", std::to_string(round)}}, {}, ""})) return 3;
    if (!store->JournalDone(*intent)) return 4;
    if (!store->PutFact(project, std::to_string(round))) return 5;
    if (!store->PutCompletedJob(project, "job", Sha256::Of(std::to_string(round)))) return 6;
  }
  return 0;
}

std::int64_t Pages(const std::string& path) {
  auto database = Database::Open(path, Database::Mode::kReadOnly, "");
  return database ? database->QueryInt("PRAGMA page_count").value_or(-1) : -1;
}

TEST_F(StoreTest, EightWritersAtOnceOnlyWait) {
  for (int writer = 0; writer < kWriters; ++writer) {
    Store store = Writer();
    Store::NewRevision revision;
    revision.project = "p" + std::to_string(writer);
    ASSERT_OK(store.BeginRevision(revision));
  }
  const int rounds = Rounds();
  std::vector<pid_t> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.push_back(InChild([&] { return Write(directories_, writer, rounds); }));
  }
  for (const pid_t writer : writers) {
    const int status = StatusOf(writer);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "a writer ended with " << WEXITSTATUS(status);
  }
  Store store = Writer();
  EXPECT_TRUE(store.warnings().empty());
  for (int writer = 0; writer < kWriters; ++writer) {
    const std::string project = "p" + std::to_string(writer);
    EXPECT_EQ(store.GetFact(project).value(), std::to_string(rounds - 1));
    EXPECT_TRUE(store.OpenIntents(project).value().empty());
    EXPECT_EQ(store.LoadObservations(project)->size(), 1U);
  }
  for (const auto& path : {directories_.AppliedDb(), directories_.ObservedDb()}) {
    auto database = Database::Open(path, Database::Mode::kReadOnly, "");
    ASSERT_OK(database);
    EXPECT_EQ(database->QueryText("PRAGMA integrity_check").value(), "ok");
    EXPECT_LT(Pages(path), 100) << path;
  }
}

}  // namespace
}  // namespace nucleus::state
