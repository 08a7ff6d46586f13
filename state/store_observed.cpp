// observed.db: the journal, observations, facts of the machine.
#include <array>
#include <charconv>

#include "state/store_impl.hpp"

namespace nucleus::state {

namespace {

constexpr std::string_view kPresent = "present";
constexpr std::string_view kUnreadable = "unreadable";

void AddNetstring(std::string& out, std::string_view text) {
  out += std::to_string(text.size());
  out += ':';
  out += text;
  out += ',';
}

std::string EncodeFacts(const Facts& facts) {
  std::string out;
  for (const auto& [name, value] : facts) {
    AddNetstring(out, name);
    AddNetstring(out, value);
  }
  return out;
}

std::optional<std::string> TakeNetstring(std::string_view& rest) {
  std::size_t size = 0;
  const auto [end, err] = std::from_chars(rest.data(), rest.data() + rest.size(), size);
  if (err != std::errc()) return std::nullopt;
  const auto digits = static_cast<std::size_t>(end - rest.data());
  // ':' + text + ','
  if (rest.size() - digits < 2 || size > rest.size() - digits - 2) return std::nullopt;
  if (rest[digits] != ':' || rest[digits + 1 + size] != ',') return std::nullopt;
  std::string text(rest.substr(digits + 1, size));
  rest.remove_prefix(digits + 2 + size);
  return text;
}

std::optional<Facts> DecodeFacts(std::string_view text) {
  Facts facts;
  while (!text.empty()) {
    auto name = TakeNetstring(text);
    if (!name) return std::nullopt;
    auto value = TakeNetstring(text);
    if (!value) return std::nullopt;
    facts.emplace(*std::move(name), *std::move(value));
  }
  return facts;
}

Result<> PutRow(Database& db, const PartKey& key, const Observation& observation) {
  std::string_view presence;
  switch (observation.presence) {
    case Presence::kAbsent:
      return db.Run("DELETE FROM observation WHERE project = ? AND part = ?", key.project, key.Text());
    case Presence::kPresent:
      presence = kPresent;
      break;
    case Presence::kUnreadable:
      presence = kUnreadable;
      break;
  }
  return db.Run(
      "INSERT OR REPLACE INTO observation (project, part, presence, facts, notes, detail) VALUES (?, ?, ?, ?, ?, ?)",
      key.project, key.Text(), presence, EncodeFacts(observation.facts), EncodeFacts(observation.notes),
      observation.detail);
}

Result<> PutResults(Database& db, std::span<const Store::JournalResult> done) {
  for (const auto& [id, seen] : done) {
    if (seen) TRY(PutRow(db, seen->first, seen->second));
    TRY(db.Run("DELETE FROM journal WHERE id = ?", static_cast<std::int64_t>(id)));
  }
  return {};
}

}  // namespace

Result<std::uint64_t> Store::JournalIntent(const PartKey& key, std::string_view verb, std::string_view step,
                                           std::span<const JournalResult> done) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  auto transaction = TRY(Transaction::Begin(impl_->observed, Transaction::Kind::kWrite));
  TRY(PutResults(impl_->observed, done));
  TRY(impl_->observed.Run("INSERT INTO journal (project, part, verb, step, time_ms) VALUES (?, ?, ?, ?, ?)",
                          key.project, key.Text(), verb, step, NowMs()));
  const auto id = static_cast<std::uint64_t>(impl_->observed.LastInsertId());
  TRY(transaction.Commit());
  return id;
}

Result<> Store::JournalDone(std::span<const JournalResult> done) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  auto transaction = TRY(Transaction::Begin(impl_->observed, Transaction::Kind::kWrite));
  TRY(PutResults(impl_->observed, done));
  return transaction.Commit();
}

Result<> Store::JournalDone(std::uint64_t id) {
  const JournalResult done{.id = id, .seen = {}};
  return JournalDone({&done, 1});
}

Result<std::vector<JournalRow>> Store::OpenIntents(std::string_view project) {
  const std::lock_guard lock(impl_->mutex);
  auto rows =
      TRY(impl_->observed.Prepare("SELECT id, part, verb, step, time_ms FROM journal WHERE project = ? ORDER BY id"));
  rows.Bind(project);
  std::vector<JournalRow> intents;
  while (TRY(rows.Step())) {
    auto key = PartKey::Parse(project, rows.Text(1));
    if (!key) return Fail(impl_->observed.Corrupt(key.error().Message()));
    intents.push_back({.id = static_cast<std::uint64_t>(rows.Int(0)),
                       .project = std::string(project),
                       .step = rows.Text(3),
                       .key = *std::move(key),
                       .verb = rows.Text(2),
                       .time_ms = rows.Int(4)});
  }
  return intents;
}

Result<> Store::CloseIntents(std::string_view project) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  return impl_->observed.Run("DELETE FROM journal WHERE project = ?", project);
}

Result<> Store::PutObservation(const PartKey& key, const Observation& observation) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  return PutRow(impl_->observed, key, observation);
}

Result<Observations> Store::LoadObservations(std::string_view project) {
  const std::lock_guard lock(impl_->mutex);
  auto rows =
      TRY(impl_->observed.Prepare("SELECT part, presence, facts, notes, detail FROM observation WHERE project = ?"));
  rows.Bind(project);
  Observations observations;
  while (TRY(rows.Step())) {
    auto key = PartKey::Parse(project, rows.Text(0));
    auto facts = DecodeFacts(rows.Text(2));
    auto notes = DecodeFacts(rows.Text(3));
    // Damaged where no check of the database sees it: as if nobody had looked. It is looked at anew.
    if (!key || !facts || !notes) continue;
    observations.emplace(*std::move(key),
                         Observation{.presence = rows.Text(1) == kPresent ? Presence::kPresent : Presence::kUnreadable,
                                     .facts = *std::move(facts),
                                     .notes = *std::move(notes),
                                     .detail = rows.Text(4)});
  }
  return observations;
}

Result<> Store::PutFact(std::string_view name, const std::optional<std::string>& value) {
  const std::lock_guard lock(impl_->mutex);
  TRY(impl_->MayWrite());
  if (!value) return impl_->observed.Run("DELETE FROM fact WHERE name = ?", name);
  return impl_->observed.Run("INSERT OR REPLACE INTO fact (name, value) VALUES (?, ?)", name, *value);
}

Result<std::optional<std::string>> Store::GetFact(std::string_view name) {
  const std::lock_guard lock(impl_->mutex);
  auto rows = TRY(impl_->observed.Prepare("SELECT value FROM fact WHERE name = ?"));
  rows.Bind(name);
  if (!TRY(rows.Step())) return std::nullopt;
  return rows.Text(0);
}

}  // namespace nucleus::state
