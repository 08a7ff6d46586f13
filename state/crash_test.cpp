// What is left when a writer is killed, and that many writers at once only ever wait.
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>

#include "state/schema.hpp"
#include "state/sqlite.hpp"
#include "state/testing.hpp"

namespace nucleus::state {
namespace {

const PartKey kKey{"shop", {Kind::kService, "web"}, Part::kNetns};

// Kills a child in the midst of a transaction that has already changed pages of the file.
void KillInTransaction(const std::string& path, const std::string& change) {
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  const pid_t child = InChild([&] {
    auto database = Database::Open(path, Database::Mode::kReadWrite, "");
    if (!database) return 1;
    // A cache of one page makes SQLite write changed pages to the file before the commit: the journal becomes hot.
    if (!database->Execute("PRAGMA cache_size=1; PRAGMA cache_spill=1; BEGIN IMMEDIATE;")) return 2;
    if (!database->Execute(change)) return 3;
    if (::write(ready[1], "x", 1) != 1) return 4;
    while (true) ::pause();
    return 0;
  });
  ::close(ready[1]);
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1) << "the child failed";
  ::close(ready[0]);
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  EXPECT_TRUE(WIFSIGNALED(StatusOf(child)));
}

const char* const kManyFacts =
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
    "INSERT INTO fact (name, value) SELECT 'new' || i, hex(randomblob(100)) FROM n";

TEST_F(StoreTest, AKilledTransactionLeavesNothing) {
  {
    Store store = Writer();
    ASSERT_OK(store.PutFact("old", "1"));
  }
  KillInTransaction(directories_.ObservedDb(), kManyFacts);
  ASSERT_TRUE(std::filesystem::file_size(directories_.ObservedDb() + "-journal") > 0) << "not in the midst of it";
  Store store = Writer();
  EXPECT_TRUE(store.warnings().empty());
  EXPECT_EQ(store.GetFact("old").value(), "1");
  EXPECT_EQ(store.GetFact("new1").value(), std::nullopt);
}

TEST_F(StoreTest, AReaderAfterAKilledTransactionReadsTheOld) {
  {
    Store store = Writer();
    ASSERT_OK(store.PutFact("old", "1"));
  }
  KillInTransaction(directories_.ObservedDb(), kManyFacts);
  auto reader = Reader();
  ASSERT_OK(reader);
  EXPECT_EQ(reader->GetFact("old").value(), "1");
  EXPECT_EQ(reader->GetFact("new1").value(), std::nullopt);
}

TEST_F(StoreTest, WritersKilledAtAnyMomentLeaveWholeTransactions) {
  {
    Store store = Writer();
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t child = InChild([&] {
      auto store = Store::Open(directories_, Store::Access::kWrite);
      if (!store) return 1;
      while (true) {
        const auto project = store->LoadProject("shop");
        if (!project) return 2;
        Store::NewRevision revision;
        revision.project = "shop";
        revision.base_revision = *project ? (*project)->revision : 0;
        // The lease and the revision say the same number, or the transaction was torn.
        revision.addresses = {{"service.web/n", {static_cast<std::uint32_t>(revision.base_revision + 1)}}};
        if (!store->BeginRevision(revision)) return 3;
      }
    });
    ::usleep(2000U + static_cast<unsigned>(round) * 1700U);
    ::kill(child, SIGKILL);
    EXPECT_TRUE(WIFSIGNALED(StatusOf(child)));
    auto reader = Reader();
    ASSERT_OK(reader);
    const auto project = reader->LoadProject("shop").value();
    if (!project) continue;
    EXPECT_EQ(project->addresses.at("service.web/n").value, project->revision);
    EXPECT_EQ(reader->Revisions("shop").value().size(),
              std::min<std::uint64_t>(project->revision, static_cast<std::uint64_t>(kKeptRevisions)));
  }
  EXPECT_GT(Reader().value().LoadProject("shop").value()->revision, 0U);
}

TEST_F(StoreTest, EightWritersNeverFail) {
  constexpr int kWriters = 8;
  constexpr int kRounds = 250;  // of two transactions each
  {
    Store store = Writer();
  }
  std::vector<pid_t> children;
  for (int w = 0; w < kWriters; ++w) {
    children.push_back(InChild([&, w] {
      auto store = Store::Open(directories_, Store::Access::kWrite);
      if (!store) return 1;
      for (int i = 0; i < kRounds; ++i) {
        if (!store->PutFact("w" + std::to_string(w), std::to_string(i))) return 2;
        const auto id = store->JournalIntent(kKey, "apply", "x");
        if (!id) return 3;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(StatusOf(child), 0);
  auto reader = Reader();
  ASSERT_OK(reader);
  EXPECT_EQ(reader->OpenIntents("shop").value().size(), std::size_t{kWriters} * kRounds);
  for (int w = 0; w < kWriters; ++w) {
    EXPECT_EQ(reader->GetFact("w" + std::to_string(w)).value(), std::to_string(kRounds - 1));
  }
}

TEST_F(StoreTest, OfManyPlansOfOneBaseOneIsTaken) {
  {
    Store store = Writer();
  }
  std::vector<pid_t> children;
  for (int w = 0; w < 8; ++w) {
    children.push_back(InChild([&] {
      auto store = Store::Open(directories_, Store::Access::kWrite);
      if (!store) return 9;
      Store::NewRevision revision;
      revision.project = "shop";
      const auto begun = store->BeginRevision(revision);
      if (begun) return 0;
      return begun.error().code == ErrorCode::kStale ? 1 : 8;
    }));
  }
  int taken = 0;
  for (const pid_t child : children) {
    const int status = WEXITSTATUS(StatusOf(child));
    EXPECT_LE(status, 1);
    taken += status == 0 ? 1 : 0;
  }
  EXPECT_EQ(taken, 1);
}

TEST_F(StoreTest, OpeningTogetherMakesOneSchema) {
  std::vector<pid_t> children;
  for (int w = 0; w < 8; ++w) {
    children.push_back(InChild([&] {
      auto store = Store::Open(directories_, Store::Access::kWrite);
      if (!store) ::fprintf(stderr, "%s\n", store.error().Message().c_str());
      return store && store->PutFact("a", "b") ? 0 : 1;
    }));
  }
  for (const pid_t child : children) EXPECT_EQ(StatusOf(child), 0);
}

}  // namespace
}  // namespace nucleus::state
