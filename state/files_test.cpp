// The files themselves: corrupt, truncated, newer, older, somebody else's, readable only.
#include <fcntl.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <sstream>

#include "spec/net.hpp"
#include "state/permissions.hpp"
#include "state/schema.hpp"
#include "state/testing.hpp"

namespace nucleus::state {
namespace {

const PartKey kKey{"shop", {Kind::kService, "web"}, Part::kCgroup};

std::string Fixture(const std::string& name) {
  std::ifstream file(std::string(NUCLEUS_TESTDATA) + "/" + name);
  EXPECT_TRUE(file) << name;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void PutFile(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::trunc | std::ios::binary) << text;
}

void PutDatabase(const std::string& path, const std::string& sql) {
  PutFile(path, "");
  auto database = Database::Open(path, Database::Mode::kReadWrite, "");
  ASSERT_TRUE(database);
  const auto done = database->Execute(sql);
  ASSERT_TRUE(done) << done.error().Message();
}

mode_t ModeOf(const std::string& path) {
  struct stat st{};
  EXPECT_EQ(::stat(path.c_str(), &st), 0) << path;
  return st.st_mode & 07777;
}

class StoreFiles : public StoreTest {
 protected:
  void Fill() {
    Store store = Writer();
    Store::NewRevision revision;
    revision.project = "shop";
    revision.spec_json = std::string(50'000, 'x');
    ASSERT_OK(store.BeginRevision(revision));
    for (int i = 0; i < 300; ++i) ASSERT_OK(store.PutFact("fact" + std::to_string(i), std::string(100, 'v')));
  }
};

TEST_F(StoreFiles, ReadingWhatIsNotThereIsEmptyAndMakesNothing) {
  auto reader = Reader();
  ASSERT_OK(reader);
  EXPECT_TRUE(reader->Projects().value().empty());
  EXPECT_EQ(reader->LoadProject("shop").value().has_value(), false);
  EXPECT_TRUE(reader->Leases().value().ports.empty());
  EXPECT_TRUE(reader->Revisions("shop").value().empty());
  EXPECT_TRUE(reader->OpenIntents("shop").value().empty());
  EXPECT_TRUE(reader->LoadObservations("shop").value().empty());
  EXPECT_EQ(reader->GetFact("x").value(), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(directories_.state));
  EXPECT_FALSE(std::filesystem::exists(directories_.runtime));
}

TEST_F(StoreFiles, ReadingChangesNothing) {
  Fill();
  const auto times = [&] {
    std::map<std::string, std::filesystem::file_time_type> found;
    for (const auto& directory : {directories_.state, directories_.runtime}) {
      for (const auto& entry : std::filesystem::directory_iterator(directory))
        found[entry.path()] = entry.last_write_time();
    }
    return found;
  };
  const auto before = times();
  auto reader = Reader();
  ASSERT_OK(reader);
  EXPECT_EQ(reader->Projects().value().size(), 1U);
  EXPECT_EQ(times(), before);
}

TEST_F(StoreFiles, ACorruptObservedDbIsMovedAsideAndSaidSo) {
  Fill();
  for (const std::string damage : {"garbage", "truncated", "scribbled", "somebody's"}) {
    {
      Store store = Writer();
      for (int i = 0; i < 300; ++i) ASSERT_OK(store.PutFact("fact" + std::to_string(i), std::string(100, 'v')));
    }
    const std::string path = directories_.ObservedDb();
    if (damage == "garbage") PutFile(path, std::string(10'000, '#'));
    if (damage == "truncated") std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2 + 100);
    if (damage == "somebody's") PutDatabase(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    if (damage == "scribbled") {
      std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
      for (int page = 2; page < 8; ++page) {
        file.seekp(std::streamoff{4096} * page);
        file << std::string(2000, '\xee');
      }
    }
    auto reader = Reader();
    if (damage != "scribbled") {
      ASSERT_FALSE(reader) << damage;
      EXPECT_EQ(reader.error().code, ErrorCode::kCorrupt) << damage;
      EXPECT_NE(reader.error().Message().find(path), std::string::npos);
      EXPECT_NE(reader.error().hint.find("nothing is lost"), std::string::npos) << damage;
    }
    Store store = Writer();
    ASSERT_EQ(store.warnings().size(), 1U) << damage;
    EXPECT_NE(store.warnings()[0].find(path + ".corrupt-"), std::string::npos) << store.warnings()[0];
    EXPECT_EQ(store.GetFact("fact1").value(), std::nullopt) << damage;
    ASSERT_OK(store.PutFact("new", "1"));
    EXPECT_EQ(store.Projects().value().size(), 1U) << "applied.db is as it was";
    EXPECT_TRUE(Writer().warnings().empty()) << "once is enough";
  }
}

TEST_F(StoreFiles, ACorruptAppliedDbIsRefusedAndLeftAsItIs) {
  for (const std::string damage : {"garbage", "truncated", "stump", "somebody's"}) {
    std::filesystem::remove_all(base_);
    Fill();
    const std::string path = directories_.AppliedDb();
    if (damage == "garbage") PutFile(path, std::string(10'000, '#'));
    if (damage == "truncated") std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2 + 100);
    if (damage == "stump") std::filesystem::resize_file(path, 1);  // which SQLite takes for an empty database
    if (damage == "somebody's") PutDatabase(path, "CREATE TABLE t (a); INSERT INTO t VALUES (1);");
    const auto size = std::filesystem::file_size(path);
    for (const auto access : {Store::Access::kRead, Store::Access::kWrite}) {
      const auto store = Store::Open(directories_, access);
      ASSERT_FALSE(store) << damage;
      EXPECT_EQ(store.error().code, ErrorCode::kCorrupt) << damage;
      EXPECT_NE(store.error().Message().find(path), std::string::npos) << store.error().Message();
      EXPECT_NE(store.error().hint.find("backup"), std::string::npos) << store.error().hint;
    }
    EXPECT_EQ(std::filesystem::file_size(path), size);
  }
}

TEST_F(StoreFiles, ANewerFileIsRefused) {
  Fill();
  for (const auto& path : {directories_.AppliedDb(), directories_.ObservedDb()}) {
    {
      auto database = Database::Open(path, Database::Mode::kReadWrite, "").value();
      ASSERT_OK(database.Execute("PRAGMA user_version=99"));
    }
    for (const auto access : {Store::Access::kRead, Store::Access::kWrite}) {
      const auto store = Store::Open(directories_, access);
      ASSERT_FALSE(store);
      EXPECT_EQ(store.error().code, ErrorCode::kUnsupported);
      EXPECT_NE(store.error().Message().find("made by a newer nucleus (schema 99"), std::string::npos)
          << store.error().Message();
    }
    auto database = Database::Open(path, Database::Mode::kReadWrite, "").value();
    const auto& schema = path == directories_.AppliedDb() ? AppliedSchema() : ObservedSchema();
    ASSERT_OK(database.Execute("PRAGMA user_version=" + std::to_string(schema.version)));
  }
  EXPECT_OK(Reader());
}

// What schema 1 wrote is read by every later version.
TEST_F(StoreFiles, SchemaOneIsRead) {
  PutDatabase(directories_.AppliedDb(), Fixture("applied-1.sql"));
  PutDatabase(directories_.ObservedDb(), Fixture("observed-1.sql"));
  for (const auto access : {Store::Access::kRead, Store::Access::kWrite}) {
    auto store = Store::Open(directories_, access);
    ASSERT_OK(store);
    const auto project = store->LoadProject("shop").value();
    ASSERT_TRUE(project);
    EXPECT_EQ(project->revision, 2U);
    ASSERT_EQ(project->resources.size(), 2U);
    EXPECT_EQ(project->resources[1].spec_json, R"({"command":["x"]})");
    EXPECT_EQ(spec::Format(project->addresses.at("service.web/internal")), "10.42.0.2");
    EXPECT_EQ(spec::Format(project->subnets.at("network.internal")), "10.42.0.0/24");
    EXPECT_EQ(project->completed_jobs.at("migrate"), Sha256::Of("x"));
    EXPECT_EQ(spec::Format(store->Leases().value().ports.at(0).second.second), "127.0.0.1:8080:80/tcp");
    EXPECT_EQ(store->Revisions("shop").value().at(0).state, RevisionState::kFailed);
    EXPECT_EQ(store->OpenIntents("shop").value().at(0).id, 7U);
    EXPECT_EQ(store->LoadObservations("shop").value().at(kKey).facts.at("owner"), "shop/service.web");
    EXPECT_EQ(store->GetFact("ip_forward").value(), "0");
  }
}

// Schema 2 publishes ports on IPv6 addresses.
TEST_F(StoreFiles, SchemaTwoIsRead) {
  PutDatabase(directories_.AppliedDb(), Fixture("applied-2.sql"));
  auto store = Store::Open(directories_, Store::Access::kRead);
  ASSERT_OK(store);
  const auto leases = store->Leases().value();
  ASSERT_EQ(leases.subnets6.size(), 1U);
  EXPECT_EQ(spec::Format(leases.subnets6[0].second.second), "fd00:42::/64");
  const auto& ports = leases.ports;
  ASSERT_EQ(ports.size(), 3U);
  EXPECT_EQ(spec::Format(ports[0].second.second), "127.0.0.1:8080:80/tcp");
  EXPECT_EQ(spec::Format(ports[1].second.second), "[2001:db8::1]:8081:80/tcp");
  EXPECT_EQ(spec::Format(ports[2].second.second), "8082:80/udp");
  EXPECT_TRUE(store->ProjectsThatGoAtTheirEnd().value().empty()) << "schema 3";
}

// Schema 3 knows who asks for a project. Of one container of before it is not known whether files do.
TEST_F(StoreFiles, WhoAskedForAContainerOfSchemaTwoIsNotKnown) {
  PutDatabase(directories_.AppliedDb(), Fixture("applied-2.sql"));
  {
    auto database = Database::Open(directories_.AppliedDb(), Database::Mode::kReadWrite, "").value();
    ASSERT_OK(database.Execute("INSERT INTO project (name, revision, single_container) VALUES ('alone', 1, 1)"));
  }
  Store store = Writer();
  EXPECT_EQ(store.LoadProject("shop").value()->origin, Origin::kFiles);
  EXPECT_EQ(store.LoadProject("alone").value()->origin, Origin::kUnknown);
  EXPECT_TRUE(store.ProjectsThatGoAtTheirEnd().value().empty());
  ASSERT_OK(store.SetOrigin("alone", Origin::kFiles));
  EXPECT_EQ(Writer().LoadProject("alone").value()->origin, Origin::kFiles);
}

// The way from older schemas, with a schema 3 of the test's own above the fixture's 1.
constexpr Migration kSteps[] = {
    {1, "ALTER TABLE project ADD COLUMN note TEXT NOT NULL DEFAULT 'two';"},
    {2, "UPDATE project SET note = note || ' three';"},
};

TEST_F(StoreFiles, OlderIsMigratedStepByStep) {
  PutDatabase(directories_.AppliedDb(), Fixture("applied-1.sql"));
  Schema schema = AppliedSchema();
  schema.version = 3;
  schema.migrations = kSteps;
  auto database = Database::Open(directories_.AppliedDb(), Database::Mode::kReadWrite, "").value();
  EXPECT_EQ(InspectSchema(database, schema).value(), SchemaState::kOlder);
  ASSERT_OK(BringUpToDate(database, schema));
  EXPECT_EQ(InspectSchema(database, schema).value(), SchemaState::kCurrent);
  EXPECT_EQ(database.QueryText("SELECT note FROM project").value(), "two three");
  ASSERT_OK(BringUpToDate(database, schema));
  EXPECT_EQ(database.QueryText("SELECT note FROM project").value(), "two three") << "once";
}

TEST_F(StoreFiles, AMigrationThatFailsChangesNothing) {
  PutDatabase(directories_.AppliedDb(), Fixture("applied-1.sql"));
  constexpr Migration kBroken[] = {kSteps[0], {2, "UPDATE project SET note = 'x'; UPDATE none SET a = 1;"}};
  Schema schema = AppliedSchema();
  schema.version = 3;
  schema.migrations = kBroken;
  auto database = Database::Open(directories_.AppliedDb(), Database::Mode::kReadWrite, "").value();
  const auto migrated = BringUpToDate(database, schema);
  ASSERT_FALSE(migrated);
  EXPECT_NE(migrated.error().Message().find("migration from schema 2"), std::string::npos);
  EXPECT_EQ(database.QueryInt("PRAGMA user_version").value(), 1);
  EXPECT_EQ(database.QueryInt("SELECT count(*) FROM pragma_table_info('project') WHERE name = 'note'").value(), 0);
}

TEST_F(StoreFiles, ACopyInMemoryIsMigratedAndTheFileIsNot) {
  PutDatabase(directories_.AppliedDb(), Fixture("applied-1.sql"));
  auto file = Database::Open(directories_.AppliedDb(), Database::Mode::kReadOnly, "").value();
  auto copy = Database::Memory(directories_.AppliedDb()).value();
  ASSERT_OK(copy.CopyFrom(file));
  Schema schema = AppliedSchema();
  schema.version = 3;
  schema.migrations = kSteps;
  ASSERT_OK(BringUpToDate(copy, schema));
  EXPECT_EQ(copy.QueryText("SELECT note FROM project").value(), "two three");
  EXPECT_EQ(InspectSchema(file, AppliedSchema()).value(), SchemaState::kOlder);
}

TEST_F(StoreFiles, WhatAnotherBootWroteIsForgotten) {
  Fill();
  {
    auto database = Database::Open(directories_.ObservedDb(), Database::Mode::kReadWrite, "").value();
    ASSERT_OK(database.Execute("UPDATE boot SET id = 'another'"));
  }
  EXPECT_EQ(Reader().value().GetFact("fact1").value(), std::nullopt);
  Store store = Writer();
  EXPECT_TRUE(store.warnings().empty());
  EXPECT_EQ(store.GetFact("fact1").value(), std::nullopt);
  ASSERT_OK(store.PutFact("now", "1"));
  EXPECT_EQ(Writer().GetFact("now").value(), "1");
}

TEST_F(StoreFiles, NobodyElseMayRead) {
  const mode_t before = ::umask(0);
  Fill();
  ::umask(before);
  const bool group = ::geteuid() == 0 && ::getgrnam("nucleus") != nullptr;
  for (const auto& path : {directories_.state, directories_.runtime}) EXPECT_EQ(ModeOf(path), group ? 0750U : 0700U);
  for (const auto& path : {directories_.AppliedDb(), directories_.ObservedDb()}) {
    EXPECT_EQ(ModeOf(path), group ? 0640U : 0600U);
  }
}

// What a member of the group can do, played by a child that is nobody but for one group.
TEST_F(StoreFiles, WhoMayOnlyReadReadsAndNeverWrites) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to become somebody else";
  Fill();
  constexpr gid_t kGroup = 54321;
  ASSERT_EQ(::chmod(base_.c_str(), 0755), 0);
  for (const auto& path : {directories_.state, directories_.runtime}) {
    ASSERT_EQ(::chown(path.c_str(), 0, kGroup), 0);
    ASSERT_EQ(::chmod(path.c_str(), 0750), 0);
  }
  for (const auto& path : {directories_.AppliedDb(), directories_.AppliedDb() + "-journal", directories_.ObservedDb(),
                           directories_.ObservedDb() + "-journal"}) {
    ASSERT_EQ(::chown(path.c_str(), 0, kGroup), 0);
    ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  }
  const auto as_somebody = [&](gid_t group, const std::function<int()>& body) {
    return WEXITSTATUS(StatusOf(InChild([&] {
      if (::setgroups(1, &group) != 0 || ::setresgid(65534, 65534, 65534) != 0 ||
          ::setresuid(65534, 65534, 65534) != 0) {
        return 99;
      }
      return body();
    })));
  };
  EXPECT_EQ(as_somebody(kGroup,
                        [&] {
                          auto reader = Store::Open(directories_, Store::Access::kRead);
                          if (!reader) return 1;
                          if (reader->Projects().value().size() != 1) return 2;
                          if (reader->GetFact("fact1").value() != std::string(100, 'v')) return 3;
                          const auto writer = Store::Open(directories_, Store::Access::kWrite);
                          if (writer) return 4;
                          return writer.error().code == ErrorCode::kPermission ? 0 : 5;
                        }),
            0);
  EXPECT_EQ(as_somebody(65534,
                        [&] {
                          const auto reader = Store::Open(directories_, Store::Access::kRead);
                          if (reader) return 1;
                          return reader.error().code == ErrorCode::kPermission ? 0 : 2;
                        }),
            0);
}

TEST_F(StoreFiles, AGroupThatComesLaterMayReadTheJournalToo) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root to give files away";
  Fill();
  const std::string journal = directories_.ObservedDb() + "-journal";
  ASSERT_EQ(::chmod(journal.c_str(), 0600), 0);
  const FileAccess access{54321};
  ASSERT_OK(PrepareJournal(journal, access));
  EXPECT_EQ(ModeOf(journal), 0640U);
  ASSERT_OK(PrepareJournal(journal + ".absent", access));
  EXPECT_FALSE(std::filesystem::exists(journal + ".absent"));
}

TEST_F(StoreFiles, AReaderIsNotInTheWayOfWriters) {
  Fill();
  auto reader = Reader().value();
  ASSERT_OK(reader.LoadProject("shop"));
  ASSERT_OK(reader.LoadObservations("shop"));
  Store writer = Writer();
  const auto start = std::chrono::steady_clock::now();
  ASSERT_OK(writer.PutFact("later", "1"));
  ASSERT_OK(writer.PutCompletedJob("shop", "job", Sha256::Of("x")));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(1));
  EXPECT_EQ(reader.GetFact("later").value(), "1");
}

}  // namespace
}  // namespace nucleus::state
