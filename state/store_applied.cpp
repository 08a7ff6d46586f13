// applied.db: projects, their resources, revisions and completed jobs.
#include <algorithm>
#include <array>

#include "state/leases.hpp"
#include "state/store_impl.hpp"

namespace nucleus::state {

namespace {

constexpr std::string_view StateText(RevisionState state) {
  switch (state) {
    case RevisionState::kApplying:
      return "applying";
    case RevisionState::kApplied:
      return "applied";
    case RevisionState::kFailed:
      return "failed";
  }
  return "";
}

std::optional<RevisionState> ParseState(std::string_view text) {
  for (const auto state : {RevisionState::kApplying, RevisionState::kApplied, RevisionState::kFailed}) {
    if (text == StateText(state)) return state;
  }
  return std::nullopt;
}

Result<> LoadResources(Database& db, ProjectRow& project) {
  auto rows = TRY(db.Prepare("SELECT address, spec_json, revision FROM resource WHERE project = ?"));
  rows.Bind(project.name);
  while (TRY(rows.Step())) {
    auto address = Address::Parse(rows.Text(0));
    if (!address) return Fail(db.Corrupt(address.error().Message()));
    project.resources.push_back({*std::move(address), rows.Text(1), static_cast<std::uint64_t>(rows.Int(2))});
  }
  std::sort(project.resources.begin(), project.resources.end(),
            [](const ResourceRow& a, const ResourceRow& b) { return a.address < b.address; });
  return {};
}

Result<> LoadCompletedJobs(Database& db, ProjectRow& project) {
  auto rows = TRY(db.Prepare("SELECT service, digest FROM completed_job WHERE project = ?"));
  rows.Bind(project.name);
  while (TRY(rows.Step())) {
    const auto digest = Digest::Parse(rows.Text(1));
    if (!digest) return Fail(db.Corrupt(digest.error().Message()));
    project.completed_jobs.emplace(rows.Text(0), *digest);
  }
  return {};
}

// A machine that converges every minute must not fill its disk with what it was once asked for. The newest that was
// applied in full stays whatever came after it: --on-failure rollback goes back to it.
Result<> ForgetOldRevisions(Database& db, std::string_view project, std::int64_t newest) {
  return db.Run(
      "DELETE FROM revision WHERE project = ?1 AND number <= ?2 AND number <> "
      "coalesce((SELECT max(number) FROM revision WHERE project = ?1 AND state = 'applied'), 0)",
      project, newest - kKeptRevisions);
}

// The newest revision of a project; 0 where there is no such project.
Result<std::uint64_t> NewestRevision(Database& db, std::string_view project) {
  auto row = TRY(db.Prepare("SELECT revision FROM project WHERE name = ?"));
  row.Bind(project);
  return TRY(row.Step()) ? static_cast<std::uint64_t>(row.Int(0)) : 0;
}

}  // namespace

Result<std::vector<std::string>> Store::Projects() {
  const std::lock_guard lock(impl_->mutex);
  auto rows = TRY(impl_->applied.Prepare("SELECT name FROM project ORDER BY name"));
  std::vector<std::string> names;
  while (TRY(rows.Step())) names.push_back(rows.Text(0));
  return names;
}

Result<std::vector<std::string>> Store::ProjectsThatGoAtTheirEnd() {
  const std::lock_guard lock(impl_->mutex);
  auto rows = TRY(impl_->applied.Prepare("SELECT name FROM project WHERE origin = 2 ORDER BY name"));
  std::vector<std::string> names;
  while (TRY(rows.Step())) names.push_back(rows.Text(0));
  return names;
}

Result<std::optional<ProjectRow>> Store::LoadProject(std::string_view project) {
  const std::lock_guard lock(impl_->mutex);
  Database& db = impl_->applied;
  auto transaction = TRY(Transaction::Begin(db, Transaction::Kind::kRead));
  ProjectRow loaded;
  {
    auto row = TRY(db.Prepare("SELECT name, revision, single_container, origin FROM project WHERE name = ?"));
    row.Bind(project);
    if (!TRY(row.Step())) return std::nullopt;
    loaded.name = row.Text(0);
    loaded.revision = static_cast<std::uint64_t>(row.Int(1));
    loaded.single_container = row.Int(2) != 0;
    loaded.origin = static_cast<Origin>(std::clamp<std::int64_t>(row.Int(3), 0, 3));
  }
  TRY(LoadResources(db, loaded));
  TRY(LoadProjectLeases(db, loaded));
  TRY(LoadCompletedJobs(db, loaded));
  TRY(transaction.Commit());
  return loaded;
}

Result<HostLeases> Store::Leases() {
  const std::lock_guard lock(impl_->mutex);
  auto transaction = TRY(Transaction::Begin(impl_->applied, Transaction::Kind::kRead));
  auto leases = TRY(LoadHostLeases(impl_->applied));
  TRY(transaction.Commit());
  return leases;
}

Result<std::uint64_t> Store::BeginRevision(const NewRevision& revision) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  Database& db = impl_->applied;
  auto transaction = TRY(Transaction::Begin(db, Transaction::Kind::kWrite));
  const auto newest = TRY(NewestRevision(db, revision.project));
  if (newest != revision.base_revision) {
    return Fail(Error::Of(ErrorCode::kStale, "begin revision of", revision.project,
                          "it is at revision " + std::to_string(newest) + " now, the plan was made from " +
                              std::to_string(revision.base_revision))
                    .Hint("make a new plan"));
  }
  // The history may outlive its project: numbers go on where they ended.
  std::int64_t number = 0;
  {
    auto row = TRY(db.Prepare("SELECT coalesce(max(number), 0) + 1 FROM revision WHERE project = ?"));
    row.Bind(revision.project);
    if (TRY(row.Step())) number = row.Int(0);
  }
  TRY(
      db.Run("INSERT INTO revision (project, number, time_ms, state, summary, spec_json, plan_digest) "
             "VALUES (?, ?, ?, ?, ?, ?, ?)",
             revision.project, number, NowMs(), StateText(RevisionState::kApplying), revision.summary,
             revision.spec_json, revision.plan_digest));
  TRY(
      db.Run("INSERT INTO project (name, revision, single_container, origin) VALUES (?1, ?2, ?3, max(?4, 0)) "
             "ON CONFLICT (name) DO UPDATE SET revision = ?2, single_container = ?3, "
             "origin = CASE ?4 WHEN -1 THEN origin ELSE ?4 END",
             revision.project, number, std::int64_t{revision.single_container},
             revision.origin ? static_cast<std::int64_t>(*revision.origin) : std::int64_t{-1}));
  TRY(ForgetOldRevisions(db, revision.project, number));
  TRY(TakeLeases(db, revision));
  TRY(transaction.Commit());
  return static_cast<std::uint64_t>(number);
}

Result<> Store::SetOrigin(std::string_view project, Origin origin) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  return impl_->applied.Run("UPDATE project SET origin = ?2 WHERE name = ?1 AND origin <> ?2", project,
                            static_cast<std::int64_t>(origin));
}

Result<> Store::SettlePorts(std::string_view project, const Ports& ports) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  auto transaction = TRY(Transaction::Begin(impl_->applied, Transaction::Kind::kWrite));
  // Mostly it is so already, and a write would be waited for until it is on the disk.
  Ports held;
  for (auto& [owner, port] : TRY(LoadHostLeases(impl_->applied)).ports) {
    if (owner == project) held.push_back(std::move(port));
  }
  Ports wanted = ports;
  std::ranges::sort(held);
  std::ranges::sort(wanted);
  if (held == wanted) return {};
  TRY(state::SettlePorts(impl_->applied, project, ports));
  return transaction.Commit();
}

namespace {

// Whole rows of `revision`.
Result<std::vector<RevisionRow>> ReadRevisions(Database& db, std::string_view project, std::string_view order) {
  auto rows =
      TRY(db.Prepare("SELECT number, time_ms, state, summary, spec_json, plan_digest FROM revision "
                     "WHERE project = ? ORDER BY number " +
                     std::string(order)));
  rows.Bind(project);
  std::vector<RevisionRow> revisions;
  while (TRY(rows.Step())) {
    const auto state = ParseState(rows.Text(2));
    if (!state) return Fail(db.Corrupt("revision of state \"" + rows.Text(2) + "\""));
    revisions.push_back({.number = static_cast<std::uint64_t>(rows.Int(0)),
                         .time_ms = rows.Int(1),
                         .state = *state,
                         .summary = rows.Text(3),
                         .spec_json = rows.Text(4),
                         .plan_digest = rows.Text(5)});
  }
  return revisions;
}

}  // namespace

Result<std::vector<RevisionRow>> Store::Revisions(std::string_view project) {
  const std::lock_guard lock(impl_->mutex);
  return ReadRevisions(impl_->applied, project, "");
}

Result<std::optional<RevisionRow>> Store::LastRevision(std::string_view project) {
  const std::lock_guard lock(impl_->mutex);
  auto rows = TRY(ReadRevisions(impl_->applied, project, "DESC LIMIT 1"));
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

namespace {

Result<> ChangeRows(Database& db, std::string_view project, std::span<const Store::ResourceChange> changes) {
  for (const auto& [address, row] : changes) {
    if (row) {
      TRY(db.Run("INSERT OR REPLACE INTO resource (project, address, spec_json, revision) VALUES (?, ?, ?, ?)", project,
                 address.Text(), row->spec_json, static_cast<std::int64_t>(row->revision)));
      continue;
    }
    TRY(db.Run("DELETE FROM resource WHERE project = ? AND address = ?", project, address.Text()));
    TRY(GiveBackLeases(db, project, address));
    if (address.kind == Kind::kService) {
      TRY(db.Run("DELETE FROM completed_job WHERE project = ? AND service = ?", project, address.name));
    }
  }
  return {};
}

}  // namespace

Result<> Store::ChangeResources(std::string_view project, std::span<const ResourceChange> changes) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  auto transaction = TRY(Transaction::Begin(impl_->applied, Transaction::Kind::kWrite));
  TRY(ChangeRows(impl_->applied, project, changes));
  return transaction.Commit();
}

Result<> Store::FinishRevision(std::string_view project, std::uint64_t number, RevisionState state,
                               std::span<const ResourceChange> changes) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  Database& db = impl_->applied;
  auto transaction = TRY(Transaction::Begin(db, Transaction::Kind::kWrite));
  TRY(ChangeRows(db, project, changes));
  TRY(db.Run("UPDATE revision SET state = ? WHERE project = ? AND number = ?", StateText(state), project,
             static_cast<std::int64_t>(number)));
  if (db.ChangedRows() == 0) {
    return Fail(ErrorCode::kNotFound, "finish", "revision " + std::to_string(number) + " of " + std::string(project),
                "there is none");
  }
  return transaction.Commit();
}

Result<> Store::PutResource(std::string_view project, const ResourceRow& row) {
  return ChangeResources(project, std::array{ResourceChange{row.address, row}});
}

Result<> Store::RemoveResource(std::string_view project, const Address& address) {
  return ChangeResources(project, std::array{ResourceChange{address, std::nullopt}});
}

Result<> Store::PutCompletedJob(std::string_view project, std::string_view service,
                                const std::optional<Digest>& digest) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  if (!digest) {
    return impl_->applied.Run("DELETE FROM completed_job WHERE project = ? AND service = ?", project, service);
  }
  return impl_->applied.Run("INSERT OR REPLACE INTO completed_job (project, service, digest) VALUES (?, ?, ?)", project,
                            service, digest->Hex());
}

Result<> Store::RemoveProject(std::string_view project, bool forget_history) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  Database& db = impl_->applied;
  auto transaction = TRY(Transaction::Begin(db, Transaction::Kind::kWrite));
  {
    auto row = TRY(db.Prepare("SELECT address FROM resource WHERE project = ? ORDER BY address LIMIT 1"));
    row.Bind(project);
    if (TRY(row.Step())) return Fail(ErrorCode::kConflict, "forget", project, "it still has " + row.Text(0));
  }
  for (const std::string_view sql :
       {"DELETE FROM project WHERE name = ?", "DELETE FROM address_lease WHERE project = ?",
        "DELETE FROM subnet_lease WHERE project = ?", "DELETE FROM port_lease WHERE project = ?",
        "DELETE FROM completed_job WHERE project = ?"}) {
    TRY(db.Run(sql, project));
  }
  if (forget_history) TRY(db.Run("DELETE FROM revision WHERE project = ?", project));
  return transaction.Commit();
}

}  // namespace nucleus::state
