#include "state/sqlite.hpp"

#include <sqlite3.h>
#include <unistd.h>

namespace nucleus::state {

namespace {

constexpr std::string_view kUnfinishedCommit = "a writer was killed while it committed";

// Another process is at work on the file. SQLite's own busy timeout sleeps up to 100 ms between tries, but transactions
// here take microseconds to milliseconds: ten short waits, then 5 ms each, 30 s in all.
int WaitWhileBusy(void* /*unused*/, int tries) {
  if (tries >= 6000) return 0;
  ::usleep(tries < 10 ? 100U << (tries / 2) : 5000U);
  return 1;
}

// Who may only read and looks in the moment between a writer's two last steps, the journal gone and the lock not asked
// for yet, is told that a writer was killed there. The next look tells.
template <class Call>
int AskedTwice(const Call& call) {
  constexpr int kTries = 10;
  int code = call();
  for (int i = 0; i < kTries && code == SQLITE_READONLY_ROLLBACK; ++i) {
    ::usleep(1000);
    code = call();
  }
  return code;
}

ErrorCode CodeOf(int primary) {
  switch (primary) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return ErrorCode::kCorrupt;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return ErrorCode::kLocked;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
      return ErrorCode::kPermission;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISUSE:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kSystem;
  }
}

}  // namespace

// ---- Statement ----

Statement::~Statement() {
  if (handle_ == nullptr) return;
  sqlite3_reset(handle_);
  sqlite3_clear_bindings(handle_);
}

Statement::Statement(Statement&& other) noexcept
    : database_(other.database_),
      handle_(std::exchange(other.handle_, nullptr)),
      bound_(other.bound_),
      bind_error_(other.bind_error_) {}

Statement& Statement::Bind(std::int64_t value) {
  const int code = sqlite3_bind_int64(handle_, ++bound_, value);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::Bind(std::string_view value) {
  const char* text = value.data() == nullptr ? "" : value.data();  // a null pointer would bind NULL
  const int code = sqlite3_bind_text64(handle_, ++bound_, text, value.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Statement& Statement::Bind(std::nullopt_t) {
  const int code = sqlite3_bind_null(handle_, ++bound_);
  if (bind_error_ == SQLITE_OK) bind_error_ = code;
  return *this;
}

Result<bool> Statement::Step() {
  if (bind_error_ != SQLITE_OK) return Fail(database_->Failure(bind_error_));
  const int code = AskedTwice([this] { return sqlite3_step(handle_); });
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return Fail(database_->Failure(code));
}

Result<> Statement::Run() {
  while (TRY(Step())) {
  }
  return {};
}

std::int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(handle_, column);
}

std::string Statement::Text(int column) const {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
  if (text == nullptr) return "";
  return {text, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column))};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

// ---- Database ----

void Database::CloseHandle::operator()(sqlite3* handle) const {
  sqlite3_close_v2(handle);
}
void Database::Finalize::operator()(sqlite3_stmt* handle) const {
  sqlite3_finalize(handle);
}

Result<Database> Database::Open(const std::string& path, Mode mode, std::string_view advice) {
  auto database = TRY(OpenAs(path, path, mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE));
  database.advice_ = advice;
  // Without permission to write, SQLite quietly opens for reading.
  if (mode == Mode::kReadWrite && sqlite3_db_readonly(database.handle_.get(), "main") != 0) {
    return FailSys("open for writing", path, EACCES);
  }
  return database;
}

Result<Database> Database::Memory(const std::string& name) {
  return OpenAs(":memory:", name, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY);
}

Result<Database> Database::OpenAs(const std::string& file, const std::string& path, int flags) {
  Database database(path);
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  database.handle_.reset(handle);  // even a failed open gives a handle
  if (code != SQLITE_OK) return Fail(database.Failure(code));
  // A file of ours that somebody else has prepared must not run anything of theirs.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);

  sqlite3_busy_handler(handle, WaitWhileBusy, nullptr);
  return database;
}

Result<Statement> Database::Prepare(std::string_view sql) {
  auto found = statements_.find(sql);
  if (found == statements_.end()) {
    sqlite3_stmt* prepared = nullptr;
    const int code = AskedTwice([&] {
      return sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT,
                                &prepared, nullptr);
    });
    if (code != SQLITE_OK) return Fail(Failure(code));
    found = statements_.emplace(std::string(sql), prepared).first;
  }
  return Statement(this, found->second.get());
}

Result<> Database::Execute(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return Fail(Failure(code));
  return {};
}

Result<std::int64_t> Database::QueryInt(std::string_view sql) {
  auto statement = TRY(Prepare(sql));
  return TRY(statement.Step()) ? statement.Int(0) : 0;
}

Result<std::string> Database::QueryText(std::string_view sql) {
  auto statement = TRY(Prepare(sql));
  return TRY(statement.Step()) ? statement.Text(0) : "";
}

Result<> Database::CopyFrom(Database& source) {
  sqlite3_backup* backup = sqlite3_backup_init(handle_.get(), "main", source.handle_.get(), "main");
  if (backup == nullptr) return Fail(Failure(sqlite3_extended_errcode(handle_.get())));
  int code = SQLITE_OK;
  // The backup calls no busy handler of its own: wait as the others do.
  for (int tries = 0;; ++tries) {
    code = sqlite3_backup_step(backup, -1);
    if ((code & 0xff) != SQLITE_BUSY || WaitWhileBusy(nullptr, tries) == 0) break;
  }
  sqlite3_backup_finish(backup);
  if (code != SQLITE_DONE) return Fail(source.Failure(code));
  return {};
}

std::int64_t Database::LastInsertId() const {
  return sqlite3_last_insert_rowid(handle_.get());
}
std::int64_t Database::ChangedRows() const {
  return sqlite3_changes64(handle_.get());
}

Error Database::Failure(int code) const {
  if (code == SQLITE_READONLY_ROLLBACK || code == SQLITE_READONLY_RECOVERY) {
    return Error::Of(ErrorCode::kLocked, "read", path_, kUnfinishedCommit)
        .Hint("run any command that may write, as root: it puts the file right");
  }
  const int primary = code & 0xff;
  std::string cause = sqlite3_errstr(code);
  if (handle_ != nullptr && sqlite3_extended_errcode(handle_.get()) == code) cause = sqlite3_errmsg(handle_.get());
  if (CodeOf(primary) == ErrorCode::kCorrupt) return Corrupt(cause);
  Error error = Error::Of(CodeOf(primary), "use database", path_, cause);
  if (primary == SQLITE_CANTOPEN || primary == SQLITE_IOERR) {
    const int err = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_.get());
    if (err != 0) error = Error::Sys("use database", path_, err);
    error.cause = cause;
  }
  return error;
}

Error Database::Corrupt(std::string_view cause) const {
  return Error::Of(ErrorCode::kCorrupt, "use database", path_, cause).Hint(advice_);
}

bool IsUnfinishedCommit(const Error& error) {
  return error.code == ErrorCode::kLocked && error.cause == kUnfinishedCommit;
}

// ---- Transaction ----

Result<Transaction> Transaction::Begin(Database& database, Kind kind) {
  TRY(database.Run(kind == Kind::kWrite ? "BEGIN IMMEDIATE" : "BEGIN"));
  return Transaction(&database);
}

Transaction::~Transaction() {
  // An error that rolled back already makes this fail, which is as well.
  if (database_ != nullptr) (void)database_->Run("ROLLBACK");
}

Result<> Transaction::Commit() {
  TRY(database_->Run("COMMIT"));
  database_ = nullptr;
  return {};
}

}  // namespace nucleus::state
