#include "cli/services.hpp"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <span>
#include <thread>

#include "actuators/netns/denials.hpp"
#include "actuators/process/probe.hpp"
#include "actuators/sys/living_thread.hpp"
#include "cli/nearest.hpp"
#include "cli/session.hpp"
#include "cli/table.hpp"
#include "cli/users_machine.hpp"
#include "spec/core/threads.hpp"
#include "spec/load.hpp"
#include "spec/net.hpp"
#include "state/parts/launch.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::cli {

namespace {

std::string ValueOf(const Facts& facts, std::string_view name) {
  const auto found = facts.find(std::string(name));
  return found == facts.end() ? std::string() : found->second;
}

std::int64_t NumberOf(const Facts& facts, std::string_view name) {
  const std::string text = ValueOf(facts, name);
  std::int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Also one whose last hooks still run.
bool HasEnded(std::string_view state, const Observation& seen) {
  if (state == "stopping") return !ValueOf(seen.notes, "exit_code").empty();
  return state == "exited" || state == "failed";
}

// What is seen of its process. absent: the word for one that is not there.
ServiceRow RowOf(const std::string& project, const Address& address, const Observation& seen, std::string_view absent) {
  ServiceRow row;
  row.project = project;
  row.address = address;
  row.id = ValueOf(seen.notes, "id");
  row.readiness = ValueOf(seen.notes, "readiness");
  row.words = ValueOf(seen.notes, "words");
  row.health = ValueOf(seen.notes, "health");
  if (row.health == "none") row.health.clear();
  row.started_ms = NumberOf(seen.notes, "started_ms");
  row.finished_ms = NumberOf(seen.notes, "finished_ms");
  row.restarts = static_cast<std::uint64_t>(std::max<std::int64_t>(0, NumberOf(seen.notes, "restarts")));
  row.pid = NumberOf(seen.notes, "pid");
  row.supervisor_pid = NumberOf(seen.notes, "supervisor_pid");
  row.detail = seen.presence == Presence::kUnreadable ? seen.detail : ValueOf(seen.notes, "error");
  switch (seen.presence) {
    case Presence::kUnreadable:
      row.state = "?";
      break;
    case Presence::kAbsent:
      row.state = absent;
      break;
    case Presence::kPresent:
      row.state = ValueOf(seen.facts, "state");
      if (!ValueOf(seen.notes, "orphaned").empty()) {
        row.state = "orphaned";
        row.detail = "its supervisor is gone, and it runs on";
      } else if (HasEnded(row.state, seen)) {
        row.exit_code = ValueOf(seen.notes, "exit_code");
        row.reason = ValueOf(seen.notes, "ending");
        if (row.state == "exited" && row.reason == EndingName(Status::Ending::kStopped)) row.state = "stopped";
      } else if (ValueOf(seen.facts, "frozen") == "1") {
        row.state = "paused";
      } else if (row.state == "running" && row.readiness == ReadinessName(Status::Readiness::kWaiting)) {
        row.state = "starting";
      }
      break;
  }
  return row;
}

// Those started by hand: no store knows them, they are where their directories are.
Result<std::vector<ServiceRow>> ListByHand(const Directories& directories) {
  std::vector<ServiceRow> rows;
  process::ProcessProber prober(directories);
  const std::string project(kContainersProject);
  for (const auto& [key, seen] : TRY(prober.Probe({.project = project, .parts = {}})))
    rows.push_back(RowOf(project, key.address, seen, "stopped"));
  return rows;
}

// A service that is to be looked at, and what came of it.
struct Listed {
  PartKey key;
  bool completed = false;
  bool networked = true;
  bool alone = false;
  std::vector<spec::PortForward> ports;
  bool userspace = false;  // a program publishes them, and not the kernel
  Result<Observation> seen = {};

  Listed(std::string project, std::string name, bool done)
      : key{std::move(project), {Kind::kService, std::move(name)}, Part::kProcess}, completed(done) {}
};

void TakePorts(Listed& listed, const spec::Service& service) {
  listed.ports = service.port_forwards;
  listed.userspace = spec::IsUserspace(service.nat_backend);
}

// What can be said without reading what most of them do not have.
Result<Listed> ReadListed(const state::ListedProject& project, const state::ListedProject::Service& service) {
  const auto mentions = [&](std::string_view key) { return service.spec_json.find(key) != std::string::npos; };
  Listed listed(project.name, service.name, service.completed);
  listed.networked = mentions("\"networks\"");
  if (mentions("\"port_forwards\""))
    TakePorts(listed, TRY_IN(listed.key.Text(), spec::ServiceFromJson(service.spec_json)));
  return listed;
}

Result<> AddServices(state::Store& store, const Directories& directories, const state::ListedProject& project,
                     std::vector<Listed>& services) {
  const auto first = static_cast<std::ptrdiff_t>(services.size());
  if (project.settled) {
    for (const auto& service : project.services) services.push_back(TRY(ReadListed(project, service)));
  } else {
    const World world = TRY(LoadWorld(store, project.name));
    const spec::Topology known = TRY(AppliedAndBegun(store, directories, world));
    for (const auto& [name, service] : known.services)
      TakePorts(services.emplace_back(project.name, name, world.applied.completed_jobs.contains(name)), service);
  }
  for (auto& service : std::span(services).subspan(static_cast<std::size_t>(first)))
    service.alone = project.single_container;
  return {};
}

// Of many, several at a time.
void LookAtThem(const Directories& directories, std::vector<Listed>& services) {
  constexpr std::size_t kOfThread = 64, kMostThreads = 8;
  const process::Glance glance(directories);
  std::atomic<std::size_t> next = 0;
  const std::size_t cores = Processors();
  RunTogether(std::min({cores - 1, kMostThreads - 1, services.size() / kOfThread}), [&] {
    for (std::size_t i = next++; i < services.size(); i = next++) services[i].seen = glance.At(services[i].key);
  });
}

}  // namespace

Result<spec::Topology> AppliedAndBegun(state::Store& store, const Directories& directories, const World& world) {
  spec::Topology known = world.applied.topology;
  const auto last = TRY(store.LastRevision(world.project));
  if (!last || last->state == state::RevisionState::kApplied) return known;
  auto begun = TRY(spec::FromJson(last->spec_json));
  for (auto& [name, service] : begun.services) {
    const std::string directory = directories.ServiceDir(world.project, {Kind::kService, name});
    if (::access(directory.c_str(), F_OK) != 0 || known.services.contains(name)) continue;
    for (const std::string& network : service.networks) {
      if (auto node = begun.networks.extract(network)) known.networks.insert(std::move(node));
    }
    for (const auto& mount : service.volumes) {
      if (auto node = begun.volumes.extract(mount.volume)) known.volumes.insert(std::move(node));
    }
    known.services.emplace(name, std::move(service));
  }
  return known;
}

bool ServiceRow::Ended() const {
  return state == "exited" || state == "failed" || state == "stopped" || state == "completed";
}

std::string ServiceRow::Asked() const {
  return alone ? Address{Kind::kContainer, address.name}.Text() : address.Text();
}

std::string ServiceRow::Name() const {
  if (address.kind == Kind::kContainer || alone) return address.name;
  return project + "/" + address.name;
}

Result<std::vector<ServiceRow>> ListServices(state::Store& store, const Directories& directories,
                                             const std::string& only) {
  std::vector<Listed> services;
  for (const state::ListedProject& project : TRY(store.ListProjects()))
    if (only.empty() || project.name == only) TRY(AddServices(store, directories, project, services));
  LookAtThem(directories, services);
  const auto machine = StateOfUsersMachine(directories);
  std::vector<ServiceRow> rows;
  rows.reserve(services.size());
  for (Listed& service : services) {
    const auto& [project, address, part] = service.key;
    const Observation seen = TRY_IN(service.key.Text(), std::move(service.seen));
    ServiceRow& row = rows.emplace_back(RowOf(project, address, seen, service.completed ? "completed" : "stopped"));
    row.alone = service.alone;
    row.networked = service.networked;
    const auto own = service.userspace ? ReadNetworkState(ValueOf(seen.facts, kNetworkHelpFact)) : NetworkState();
    for (const spec::PortForward& port : service.ports) {
      std::string text = spec::Format(port);
      if (own.Publishes(text) && machine.Publishes(spec::Format(AtUsersMachine(port))))
        row.ports.push_back(std::move(text));
    }
  }
  if (only.empty()) {
    for (ServiceRow& row : TRY(ListByHand(directories))) rows.push_back(std::move(row));
  }
  return rows;
}

void CountDenials(const Directories& directories, std::vector<ServiceRow>& rows) {
  std::vector<ServiceRow*> counted;
  std::vector<std::string> namespaces;
  for (ServiceRow& row : rows) {
    const bool pinned = row.address.kind == Kind::kService;
    if (!row.networked || (!pinned && row.pid <= 0)) continue;
    counted.push_back(&row);
    namespaces.push_back(pinned ? directories.NetnsPin(row.project, row.address)
                                : sys::ProcOf(static_cast<pid_t>(row.pid)) + "/ns/net");
  }
  const auto denied = netns::DeniedIn(namespaces);
  for (std::size_t i = 0; i < counted.size(); ++i) counted[i]->egress_denied = denied[i];
}

Result<ServiceRow> FindService(const std::vector<ServiceRow>& rows, const std::string& name) {
  if (const auto called = std::ranges::find(rows, name, &ServiceRow::Name); called != rows.end()) return *called;
  std::vector<const ServiceRow*> named;
  std::vector<const ServiceRow*> by_id;
  constexpr std::size_t kShortestPrefix = 4;
  for (const ServiceRow& row : rows) {
    if (name == row.address.name || name == row.Name() || name == row.project + "/" + row.address.Text() ||
        name == row.address.Text() || name == row.Asked())
      named.push_back(&row);
    if (name.size() >= kShortestPrefix && row.id.starts_with(name)) by_id.push_back(&row);
  }
  const auto& fitting = named.empty() ? by_id : named;
  if (fitting.size() == 1) return *fitting.front();
  if (fitting.size() > 1) {
    std::string all;
    for (const ServiceRow* row : fitting) all += (all.empty() ? "" : ", ") + row->Name();
    return Fail(Error::Of(ErrorCode::kConflict, "", "'" + name + "'", "is not unique").Hint("one of " + all));
  }
  std::vector<std::string> known;
  for (const ServiceRow& row : rows) {
    known.push_back(row.address.name);
    known.push_back(row.Name());
  }
  const std::vector<std::string_view> views(known.begin(), known.end());
  const auto nearest = Nearest(name, views);
  return Fail(Error::Of(ErrorCode::kNotFound, "", "'" + name + "'", "no such service")
                  .Hint(nearest ? "did you mean '" + std::string(*nearest) + "'?" : "`nucleus ps --all` lists them"));
}

std::string ServicesText(const std::vector<ServiceRow>& rows, std::int64_t now_ms) {
  std::vector<std::vector<std::string>> table{
      {"NAME", "ID", "STATE", "HEALTH", "UPTIME", "RESTARTS", "DENIED", "PORTS"}};
  for (const ServiceRow& row : rows) {
    std::string state = row.state;
    const bool worth_saying = row.reason == "oom" || row.reason == "unhealthy";
    if (!row.exit_code.empty()) state += " (" + row.exit_code + (worth_saying ? ", " + row.reason : "") + ")";
    if (row.Ended() && row.finished_ms > 0) state += " " + RoughDuration(now_ms - row.finished_ms) + " ago";
    std::string ports;
    for (const std::string& port : row.ports) ports += (ports.empty() ? "" : ", ") + port;
    const bool runs =
        row.state == "running" || row.state == "starting" || row.state == "paused" || row.state == "orphaned";
    table.push_back({row.Name(), row.id.substr(0, 12), state, row.health.empty() ? "-" : row.health,
                     runs && row.started_ms > row.finished_ms ? RoughDuration(now_ms - row.started_ms) : "-",
                     std::to_string(row.restarts), row.egress_denied ? std::to_string(*row.egress_denied) : "-",
                     ports.empty() ? "-" : ports});
  }
  return TableText(table);
}

}  // namespace nucleus::cli
