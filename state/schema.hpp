// The schemas of the two databases and the way from older ones. A file's version is its PRAGMA user_version, and its
// PRAGMA application_id says that it is ours.
#pragma once

#include <span>
#include <string>

#include "state/sqlite.hpp"

namespace nucleus::state {

// From version `from` to `from + 1`.
struct Migration {
  int from = 0;
  const char* sql = "";
};

struct Schema {
  const char* name = "";  // "applied"
  int application_id = 0;
  int version = 1;
  const char* sql = "";  // makes the newest from nothing
  std::span<const Migration> migrations;
};

const Schema& AppliedSchema();
const Schema& ObservedSchema();

enum class SchemaState { kEmpty, kOlder, kCurrent };

// kUnsupported for a newer one, kCorrupt for a database that is not ours.
Result<SchemaState> InspectSchema(Database& database, const Schema& schema);

// Makes or migrates, in one transaction: a failure, or being killed, leaves what was there.
Result<> BringUpToDate(Database& database, const Schema& schema);

}  // namespace nucleus::state
