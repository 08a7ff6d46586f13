// SQLite with owners: a Database, the Statements it has prepared, and a Transaction that is rolled back unless
// committed.
//
// Errors carry SQLite's message and the path of the file: kCorrupt for what is no database or does not hold together,
// kLocked after 30 s of waiting for another process, kPermission, kSystem. Nothing throws.
// Threads: one at a time per Database; the owner sees to it. A Database must not cross fork(2).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "spec/core/error.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace nucleus::state {

class Database;

// A prepared statement while it is in use; given back to its Database, reset, when it goes.
// Bind in order, then Step row by row. The first failed Bind is reported by Step.
class Statement {
 public:
  ~Statement();
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;

  Statement& Bind(std::int64_t value);
  Statement& Bind(std::string_view value);
  Statement& Bind(std::nullopt_t);

  Result<bool> Step();  // whether there is a row
  Result<> Run();       // to the end, rows ignored

  [[nodiscard]] std::int64_t Int(int column) const;
  [[nodiscard]] std::string Text(int column) const;
  [[nodiscard]] bool IsNull(int column) const;

 private:
  friend class Database;
  Statement(Database* database, sqlite3_stmt* handle) : database_(database), handle_(handle) {}
  Database* database_;
  sqlite3_stmt* handle_;
  int bound_ = 0;
  int bind_error_ = 0;
};

class Database {
 public:
  enum class Mode { kReadOnly, kReadWrite };
  // The file must exist. `advice` is what a person can do about a file that does not read back.
  static Result<Database> Open(const std::string& path, Mode mode, std::string_view advice);
  // In memory; `name` stands for the path in errors.
  static Result<Database> Memory(const std::string& name);
  Database(Database&&) noexcept = default;
  Database& operator=(Database&&) noexcept = default;

  // Prepared once, kept, and used again for the same text. Not for two uses of one text at a time.
  Result<Statement> Prepare(std::string_view sql);
  // Prepare, bind, run.
  template <class... Args>
  Result<> Run(std::string_view sql, const Args&... args) {
    auto statement = TRY(Prepare(sql));
    (statement.Bind(args), ...);
    return statement.Run();
  }
  // Any number of statements without values.
  Result<> Execute(const std::string& sql);
  Result<std::int64_t> QueryInt(std::string_view sql);
  Result<std::string> QueryText(std::string_view sql);

  // Replaces all contents by those of another database.
  Result<> CopyFrom(Database& source);

  [[nodiscard]] std::int64_t LastInsertId() const;
  [[nodiscard]] std::int64_t ChangedRows() const;  // of the last statement
  [[nodiscard]] const std::string& path() const { return path_; }
  // The failure of the last call, code being what SQLite returned.
  [[nodiscard]] Error Failure(int code) const;
  // It does not read back, with the advice.
  [[nodiscard]] Error Corrupt(std::string_view cause) const;

 private:
  struct CloseHandle {
    void operator()(sqlite3* handle) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const;
  };
  explicit Database(std::string path) : path_(std::move(path)) {}
  static Result<Database> OpenAs(const std::string& file, const std::string& path, int flags);

  std::string path_;
  std::string advice_;
  std::unique_ptr<sqlite3, CloseHandle> handle_;
  std::map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>, std::less<>> statements_;
};

// Whether an error is that a writer was killed in the midst of a commit, which a reader may not put right.
bool IsUnfinishedCommit(const Error& error);

class Transaction {
 public:
  enum class Kind { kRead, kWrite };  // kWrite waits for other writers at once, so that no step later can fail for them
  static Result<Transaction> Begin(Database& database, Kind kind);
  ~Transaction();
  Transaction(Transaction&& other) noexcept : database_(std::exchange(other.database_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;

  Result<> Commit();

 private:
  explicit Transaction(Database* database) : database_(database) {}
  Database* database_;
};

}  // namespace nucleus::state
