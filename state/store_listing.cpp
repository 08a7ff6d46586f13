// All projects at once: a question for each of a thousand would be most of what a listing takes.
#include <algorithm>

#include "state/store_impl.hpp"

namespace nucleus::state {

namespace {

using Listing = std::vector<ListedProject>;

// Rows come in the order of projects, as these are.
ListedProject* Find(Listing& projects, const std::string& name) {
  const auto found = std::ranges::lower_bound(projects, name, {}, &ListedProject::name);
  return found == projects.end() || found->name != name ? nullptr : &*found;
}

Result<> LoadServices(Database& db, Listing& projects) {
  auto rows =
      TRY(db.Prepare("SELECT project, address, spec_json FROM resource WHERE address GLOB 'service.*' "
                     "ORDER BY project, address"));
  while (TRY(rows.Step())) {
    auto address = Address::Parse(rows.Text(1));
    if (!address) return Fail(db.Corrupt(address.error().Message()));
    if (auto* project = Find(projects, rows.Text(0)))
      project->services.push_back({.name = address->name, .spec_json = rows.Text(2)});
  }
  return {};
}

Result<> LoadCompleted(Database& db, Listing& projects) {
  auto rows = TRY(db.Prepare("SELECT project, service FROM completed_job"));
  while (TRY(rows.Step())) {
    auto* project = Find(projects, rows.Text(0));
    if (project == nullptr) continue;
    const auto service = std::ranges::find(project->services, rows.Text(1), &ListedProject::Service::name);
    if (service != project->services.end()) service->completed = true;
  }
  return {};
}

}  // namespace

Result<Listing> Store::ListProjects() {
  const std::lock_guard lock(impl_->mutex);
  Database& db = impl_->applied;
  auto transaction = TRY(Transaction::Begin(db, Transaction::Kind::kRead));
  Listing projects;
  {
    auto rows =
        TRY(db.Prepare("SELECT name, single_container, coalesce(state, '') FROM project LEFT JOIN revision "
                       "ON revision.project = name AND number = project.revision ORDER BY name"));
    while (TRY(rows.Step()))
      projects.push_back({.name = rows.Text(0),
                          .single_container = rows.Int(1) != 0,
                          .settled = rows.Text(2) == "applied" || rows.Text(2).empty(),
                          .services = {}});
  }
  TRY(LoadServices(db, projects));
  TRY(LoadCompleted(db, projects));
  TRY(transaction.Commit());
  return projects;
}

}  // namespace nucleus::state
