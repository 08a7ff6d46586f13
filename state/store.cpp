// Opening the two databases.
#include "state/store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "state/permissions.hpp"
#include "state/schema.hpp"
#include "state/store_impl.hpp"

namespace nucleus::state {

namespace {

constexpr std::string_view kAppliedAdvice =
    "restore it from a backup; or move it away: the next apply then adopts what runs, but history and what was "
    "protected are forgotten";
constexpr std::string_view kObservedAdvice = "delete it: nothing is lost, the next apply adopts what runs";

// Of /proc, with plain calls: the store rests on no actuator.
std::string BootId() {
  std::array<char, 64> text{};
  const int fd = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  const ssize_t got = ::read(fd, text.data(), text.size());
  ::close(fd);
  std::string id(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (id.ends_with('\n')) id.pop_back();
  return id;
}

// In one transaction: somebody may be making the schema at this moment.
Result<SchemaState> InspectAtOnce(Database& database, const Schema& schema) {
  auto transaction = TRY(Transaction::Begin(database, Transaction::Kind::kRead));
  const auto state = TRY(InspectSchema(database, schema));
  TRY(transaction.Commit());
  return state;
}

// SQLite takes the stump of a file for an empty database. Ours has no bytes until its first transaction is through.
Result<SchemaState> Inspect(Database& database, const Schema& schema, const std::string& path) {
  struct stat st{};
  auto state = TRY(InspectAtOnce(database, schema));
  if (state != SchemaState::kEmpty || ::stat(path.c_str(), &st) != 0 || st.st_size == 0) return state;
  // Unless somebody else has filled it between the two looks.
  state = TRY(InspectAtOnce(database, schema));
  if (state == SchemaState::kEmpty) return Fail(database.Corrupt("there is nothing in it"));
  return state;
}

Result<Database> Empty(const std::string& path, const Schema& schema) {
  auto database = TRY(Database::Memory(path));
  TRY(BringUpToDate(database, schema));
  return database;
}

// For reading: nothing is made or changed. A file that is missing, or was made and never filled, is empty; an older one
// is copied into memory and migrated there.
Result<Database> OpenForReading(const std::string& path, const Schema& schema, std::string_view advice) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) {
    if (errno == ENOENT) return Empty(path, schema);
    return FailSys("open", path);
  }
  if (::access(path.c_str(), R_OK) != 0) return FailSys("open", path);
  auto database = TRY(Database::Open(path, Database::Mode::kReadOnly, advice));
  auto state = Inspect(database, schema, path);
  if (!state && IsUnfinishedCommit(state.error()) && ::access(path.c_str(), W_OK) == 0) {
    // A killed writer left a journal that must be played back. That restores what was, so it is reading still.
    auto writable = TRY(Database::Open(path, Database::Mode::kReadWrite, advice));
    (void)TRY(InspectSchema(writable, schema));
    state = Inspect(database, schema, path);
  }
  if (!state) return Fail(std::move(state).error());
  switch (*state) {
    case SchemaState::kCurrent:
      return database;
    case SchemaState::kEmpty:
      return Empty(path, schema);
    case SchemaState::kOlder:
      break;
  }
  auto copy = TRY(Database::Memory(path));
  TRY(copy.CopyFrom(database));
  TRY(BringUpToDate(copy, schema));
  return copy;
}

Result<Database> OpenForWriting(const std::string& path, const Schema& schema, std::string_view advice,
                                const std::string& pragmas, const FileAccess& access) {
  // The file of the journal is kept and its header cleared: the cheapest way to end a transaction. A reader has to look
  // at that header.
  TRY(PrepareJournal(path + "-journal", access));
  TRY(PrepareFile(path, access));
  auto database = TRY(Database::Open(path, Database::Mode::kReadWrite, advice));
  TRY(database.Execute(pragmas));
  TRY(database.Execute("PRAGMA journal_mode=PERSIST; PRAGMA journal_size_limit=1048576;"));
  if (TRY(Inspect(database, schema, path)) != SchemaState::kCurrent) TRY(BringUpToDate(database, schema));
  return database;
}

// observed.db is rebuilt from the kernel, so it is checked whole: better empty than half right.
Result<Database> OpenObserved(const std::string& path, const FileAccess& access) {
  // On tmpfs nothing is ever synced. The rollback journal still makes a killed process leave all or nothing.
  auto database = TRY(OpenForWriting(path, ObservedSchema(), kObservedAdvice, "PRAGMA synchronous=OFF;", access));
  const auto verdict = TRY(database.QueryText("PRAGMA quick_check(1)"));
  if (verdict != "ok") return Fail(database.Corrupt(verdict));
  return database;
}

// Holds a lock of the whole machine for as long as it lives.
class HostLock {
 public:
  static Result<HostLock> Take(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return FailSys("open", path);
    HostLock lock(fd);
    while (::flock(fd, LOCK_EX) != 0) {
      if (errno != EINTR) return FailSys("flock", path);
    }
    return lock;
  }
  HostLock(HostLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  HostLock& operator=(HostLock&&) = delete;
  ~HostLock() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit HostLock(int fd) : fd_(fd) {}
  int fd_;
};

// Moves a database that does not read back out of the way, with its journal: that belongs to those contents.
Result<std::string> MoveAside(const std::string& path) {
  const std::string aside = path + ".corrupt-" + std::to_string(NowMs());
  if (::rename(path.c_str(), aside.c_str()) != 0) return FailSys("rename", path);
  const std::string journal = path + "-journal";
  if (::rename(journal.c_str(), (aside + "-journal").c_str()) != 0 && errno != ENOENT) {
    return FailSys("rename", journal);
  }
  return aside;
}

// Where the runtime directory outlived a reboot, what the file speaks of did not.
Result<> ForgetOtherBoots(Database& observed) {
  const std::string boot = BootId();
  if (boot.empty() || TRY(observed.QueryText("SELECT id FROM boot")) == boot) return {};
  auto transaction = TRY(Transaction::Begin(observed, Transaction::Kind::kWrite));
  if (!TRY(observed.QueryText("SELECT id FROM boot")).empty()) {
    TRY(observed.Execute("DELETE FROM journal; DELETE FROM observation; DELETE FROM fact; DELETE FROM boot;"));
  }
  if (TRY(observed.QueryInt("SELECT count(*) FROM boot")) == 0) {
    TRY(observed.Run("INSERT INTO boot (id) VALUES (?)", boot));
  }
  return transaction.Commit();
}

struct Opened {
  Database applied;
  Database observed;
  std::vector<std::string> warnings;
};

Result<Opened> OpenBothForWriting(const Directories& directories) {
  const FileAccess access = FileAccess::Find();
  TRY(PrepareDirectory(directories.state, access));
  TRY(PrepareDirectory(directories.runtime, access));
  std::vector<std::string> warnings;
  const std::string path = directories.ObservedDb();
  auto observed = OpenObserved(path, access);
  if (!observed && observed.error().code == ErrorCode::kCorrupt) {
    const auto lock = TRY(HostLock::Take(directories.HostLock()));
    observed = OpenObserved(path, access);  // unless somebody else has just done it
    if (!observed && observed.error().code == ErrorCode::kCorrupt) {
      const std::string why = observed.error().Message();
      const std::string aside = TRY(MoveAside(path));
      observed = OpenObserved(path, access);
      warnings.push_back(why + ": moved to " + aside + " and started anew; what runs is adopted");
    }
  }
  if (!observed) return Fail(std::move(observed).error());
  TRY(ForgetOtherBoots(*observed));
  auto applied =
      TRY(OpenForWriting(directories.AppliedDb(), AppliedSchema(), kAppliedAdvice, "PRAGMA synchronous=FULL;", access));
  return Opened{std::move(applied), *std::move(observed), std::move(warnings)};
}

Result<Opened> OpenBothForReading(const Directories& directories) {
  auto applied = TRY(OpenForReading(directories.AppliedDb(), AppliedSchema(), kAppliedAdvice));
  auto observed = TRY(OpenForReading(directories.ObservedDb(), ObservedSchema(), kObservedAdvice));
  const std::string boot = TRY(observed.QueryText("SELECT id FROM boot"));
  if (!boot.empty() && boot != BootId()) observed = TRY(Empty(directories.ObservedDb(), ObservedSchema()));
  return Opened{std::move(applied), std::move(observed), {}};
}

}  // namespace

std::int64_t NowMs() {
  using std::chrono::duration_cast;
  return duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Result<> Store::Impl::MayWrite() const {
  if (access == Store::Access::kWrite) return {};
  return Fail(ErrorCode::kInternal, "write", applied.path(), "the store was opened for reading");
}

Result<Store> Store::Open(const Directories& directories, Access access) {
  auto opened = TRY(access == Access::kWrite ? OpenBothForWriting(directories) : OpenBothForReading(directories));
  auto impl = std::make_unique<Impl>(access, std::move(opened.applied), std::move(opened.observed));
  impl->warnings = std::move(opened.warnings);
  return Store(std::move(impl));
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

const std::vector<std::string>& Store::warnings() const {
  return impl_->warnings;
}

}  // namespace nucleus::state
