#include "state/schema.hpp"

#include "state/embedded_sql.hpp"

namespace nucleus::state {

namespace {

constexpr int kAppliedId = 0x6e75636c;   // "nucl"
constexpr int kObservedId = 0x6e75636f;  // "nuco"

constexpr Migration kAppliedMigrations[] = {
    {1, "ALTER TABLE port_lease ADD COLUMN host_ip6 TEXT; ALTER TABLE subnet_lease ADD COLUMN subnet6 TEXT;"},
    {2,
     "ALTER TABLE project ADD COLUMN origin INTEGER NOT NULL DEFAULT 0; "
     "UPDATE project SET origin = 3 WHERE single_container = 1;"}};

}  // namespace

const Schema& AppliedSchema() {
  static constexpr Schema kSchema{.name = "applied",
                                  .application_id = kAppliedId,
                                  .version = 3,
                                  .sql = kAppliedSql,
                                  .migrations = kAppliedMigrations};
  return kSchema;
}

const Schema& ObservedSchema() {
  static constexpr Schema kSchema{
      .name = "observed", .application_id = kObservedId, .version = 1, .sql = kObservedSql, .migrations = {}};
  return kSchema;
}

Result<SchemaState> InspectSchema(Database& database, const Schema& schema) {
  const auto version = TRY(database.QueryInt("PRAGMA user_version"));
  const auto application = TRY(database.QueryInt("PRAGMA application_id"));
  if (version == 0 && application == 0 && TRY(database.QueryInt("SELECT count(*) FROM sqlite_schema")) == 0) {
    return SchemaState::kEmpty;
  }
  if (application != schema.application_id) {
    return Fail(database.Corrupt(std::string("it is not a nucleus database of kind \"") + schema.name + "\""));
  }
  if (version > schema.version) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "use database", database.path(),
                          "made by a newer nucleus (schema " + std::to_string(version) + ", this one knows " +
                              std::to_string(schema.version) + ")")
                    .Hint("use the newer nucleus"));
  }
  if (version < 1) return Fail(database.Corrupt("it has no schema version"));
  return version < schema.version ? SchemaState::kOlder : SchemaState::kCurrent;
}

Result<> BringUpToDate(Database& database, const Schema& schema) {
  auto transaction = TRY(Transaction::Begin(database, Transaction::Kind::kWrite));
  // Looked at again under the lock: somebody else may have been quicker.
  switch (TRY(InspectSchema(database, schema))) {
    case SchemaState::kCurrent:
      return transaction.Commit();
    case SchemaState::kEmpty:
      TRY(database.Execute(schema.sql));
      TRY(database.Execute("PRAGMA application_id=" + std::to_string(schema.application_id)));
      break;
    case SchemaState::kOlder:
      for (auto version = TRY(database.QueryInt("PRAGMA user_version")); version < schema.version; ++version) {
        const Migration* step = nullptr;
        for (const auto& migration : schema.migrations) {
          if (migration.from == version) step = &migration;
        }
        if (step == nullptr) {
          return Fail(ErrorCode::kInternal, "migrate", database.path(),
                      "no way from schema " + std::to_string(version));
        }
        TRY_IN("migration from schema " + std::to_string(version), database.Execute(step->sql));
      }
      break;
  }
  TRY(database.Execute("PRAGMA user_version=" + std::to_string(schema.version)));
  return transaction.Commit();
}

}  // namespace nucleus::state
