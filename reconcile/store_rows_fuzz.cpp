// Rows of the store with anything in them: read back or refused, and what is read back can be planned with.
#include <fuzzer/FuzzedDataProvider.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "reconcile/applied.hpp"

namespace {

using nucleus::Directories;
using nucleus::state::Store;

// The store of this process, and a connection past it.
class World {
 public:
  World() {
    std::string base = "/dev/shm/nucleus-fuzz-XXXXXX";
    if (::mkdtemp(base.data()) == nullptr) std::abort();
    directories_ = {base + "/state", base + "/runtime"};
    if (!Store::Open(directories_, Store::Access::kWrite)) std::abort();
    Open(directories_.AppliedDb(), applied_);
    Open(directories_.ObservedDb(), observed_);
    auto reader = Store::Open(directories_, Store::Access::kRead);
    if (!reader) std::abort();
    reader_ = std::make_unique<Store>(*std::move(reader));
    base_ = base;
  }
  ~World() {
    sqlite3_close(applied_);
    sqlite3_close(observed_);
    std::error_code ignored;
    std::filesystem::remove_all(base_, ignored);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  sqlite3* applied() { return applied_; }
  sqlite3* observed() { return observed_; }
  Store& reader() { return *reader_; }

  // What a constraint refuses is not there: that is as good.
  static void Run(sqlite3* db, const char* sql, std::initializer_list<std::string> texts = {}) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) != SQLITE_OK) std::abort();
    int at = 1;
    for (const auto& text : texts) {
      sqlite3_bind_text(statement, at++, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
    }
    sqlite3_step(statement);
    sqlite3_finalize(statement);
  }

 private:
  static void Open(const std::string& path, sqlite3*& db) {
    if (sqlite3_open(path.c_str(), &db) != SQLITE_OK) std::abort();
    sqlite3_exec(db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=PERSIST;", nullptr, nullptr, nullptr);
  }
  std::string base_;
  Directories directories_;
  sqlite3* applied_ = nullptr;
  sqlite3* observed_ = nullptr;
  std::unique_ptr<Store> reader_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  FuzzedDataProvider input(data, size);
  const auto text = [&] { return input.ConsumeRandomLengthString(4096); };
  sqlite3* applied = world.applied();
  World::Run(applied, "BEGIN IMMEDIATE");
  for (const char* table :
       {"project", "revision", "resource", "address_lease", "subnet_lease", "port_lease", "completed_job"}) {
    World::Run(applied, (std::string("DELETE FROM ") + table).c_str());
  }
  World::Run(applied, "INSERT INTO project VALUES ('p', 1, 0, ?)",
             {std::to_string(input.ConsumeIntegral<std::int8_t>())});
  const std::string state = input.PickValueInArray({"applied", "failed", "applying"});
  World::Run(applied, "INSERT INTO revision VALUES ('p', 1, 0, ?, ?, ?, ?)", {state, text(), text(), text()});
  for (int i = input.ConsumeIntegralInRange(0, 4); i > 0; --i) {
    World::Run(applied, "INSERT INTO resource VALUES ('p', ?, ?, 1)", {text(), text()});
  }
  World::Run(applied, "INSERT INTO address_lease VALUES ('p', ?, ?, ?)",
             {text(), text(), std::to_string(input.ConsumeIntegral<std::int64_t>())});
  World::Run(applied, "INSERT INTO subnet_lease VALUES ('p', ?, ?, ?, ?)",
             {text(), std::to_string(input.ConsumeIntegral<std::int64_t>()),
              std::to_string(input.ConsumeIntegral<std::int64_t>()), text()});
  World::Run(
      applied, "INSERT INTO port_lease VALUES ('p', ?, ?, ?, ?, ?, 'tcp')",
      {text(), std::to_string(input.ConsumeIntegral<std::int64_t>()), text(),
       std::to_string(input.ConsumeIntegral<std::int64_t>()), std::to_string(input.ConsumeIntegral<std::int64_t>())});
  World::Run(applied, "INSERT INTO completed_job VALUES ('p', ?, ?)", {text(), text()});
  World::Run(applied, "COMMIT");
  sqlite3* observed = world.observed();
  World::Run(observed, "BEGIN IMMEDIATE");
  for (const char* table : {"journal", "observation", "fact"})
    World::Run(observed, (std::string("DELETE FROM ") + table).c_str());
  World::Run(observed, "INSERT INTO journal (project, part, verb, step, time_ms) VALUES ('p', ?, ?, ?, 0)",
             {text(), text(), text()});
  World::Run(
      observed,
      "INSERT INTO observation (project, part, presence, facts, notes, detail) VALUES ('p', ?, 'present', ?, ?, ?)",
      {text(), text(), text(), text()});
  World::Run(observed, "INSERT INTO fact VALUES (?, ?)", {text(), text()});
  World::Run(observed, "COMMIT");

  Store& store = world.reader();
  if (const auto row = store.LoadProject("p")) (void)nucleus::reconcile::ToApplied("p", *row);
  if (const auto leases = store.Leases()) (void)nucleus::reconcile::ToTaken(*leases, "q");
  (void)store.Projects();
  (void)store.Revisions("p");
  (void)store.OpenIntents("p");
  (void)store.LoadObservations("p");
  return 0;
}
