// The store: two SQLite files behind one class.
//
// applied.db (state directory, synchronous=FULL) is what people asked for: projects, revisions, applied resources,
// leases of addresses and subnets, completed jobs. observed.db (runtime directory, on tmpfs) is what we made:
// identities and fingerprints of kernel objects, and the journal. Losing observed.db loses nothing that the kernel's
// own tags do not tell. Rollback journal, never WAL. Both carry a schema version: older is migrated, newer is refused
// (kUnsupported). A database that does not read back is kCorrupt, with what to do in the hint.
//
// Threads: a Store may be used from several threads; calls are serialised inside. Busy files are waited for, 30 s.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/address.hpp"
#include "spec/core/error.hpp"
#include "spec/core/lock_holder.hpp"
#include "spec/core/names.hpp"
#include "spec/types.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::state {

// A resource as it was last applied.
struct ResourceRow {
  Address address;
  std::string spec_json;  // spec::ToJson of the resource
  std::uint64_t revision = 0;
};

// Who says what is wanted of a project: files, again and again; or one command, that started its one container.
enum class Origin : std::uint8_t {
  kFiles,
  kCommand,
  kCommandUntilItEnds,  // and once that has ended nothing is kept of it
  kUnknown,             // one container, of before this was written down: by either
};

struct ProjectRow {
  std::string name;
  std::uint64_t revision = 0;  // the newest
  bool single_container = false;
  Origin origin = Origin::kFiles;
  std::vector<ResourceRow> resources;
  std::map<std::string, spec::Ipv4> addresses;   // "service.web/internal"
  std::map<std::string, spec::Ipv4Net> subnets;  // "network.front"
  std::map<std::string, Digest> completed_jobs;
};

enum class RevisionState { kApplying, kApplied, kFailed };

struct RevisionRow {
  std::uint64_t number = 0;
  std::int64_t time_ms = 0;
  RevisionState state = RevisionState::kApplying;
  std::string summary;    // "1 replace, 1 live, 1 create"
  std::string spec_json;  // spec::ToJson of the topology
  std::string plan_digest;
};

// Subnets, addresses and published ports of every project on the machine.
struct HostLeases {
  std::vector<std::pair<std::string, std::pair<std::string, spec::Ipv4Net>>> subnets;  // project, network, subnet
  std::vector<std::pair<std::string, std::pair<std::string, spec::Ipv6Net>>> subnets6;
  std::vector<std::pair<std::string, std::pair<std::string, spec::PortForward>>> ports;  // project, service, port
};

// What a listing needs of a project.
struct ListedProject {
  std::string name;
  bool single_container = false;
  bool settled = true;  // its newest revision was applied in full
  struct Service {
    std::string name;
    std::string spec_json;
    bool completed = false;  // a job that is done
  };
  std::vector<Service> services;  // by name
};

// How many revisions of a project are kept.
inline constexpr std::int64_t kKeptRevisions = 100;

struct JournalRow {
  std::uint64_t id = 0;
  std::string project;
  std::string step;  // Step::Text()
  PartKey key;
  std::string verb;
  std::int64_t time_ms = 0;
};

class Store {
 public:
  enum class Access {
    kRead,   // files that are missing are empty; nothing is made, migrated or locked for writing
    kWrite,  // directories (0700, or 0750 root:nucleus where that group exists) and files are made
  };
  static Result<Store> Open(const Directories& directories, Access access);
  ~Store();
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;

  // What was found wrong and put right while opening, for people: an observed.db that did not read back and was moved
  // aside.
  [[nodiscard]] const std::vector<std::string>& warnings() const;

  // ---- applied.db ----
  Result<std::vector<std::string>> Projects();
  Result<std::vector<std::string>> ProjectsThatGoAtTheirEnd();
  Result<std::optional<ProjectRow>> LoadProject(std::string_view project);
  Result<std::vector<ListedProject>> ListProjects();  // all of them in one look, by name
  Result<HostLeases> Leases();

  using Ports = std::vector<std::pair<std::string, spec::PortForward>>;  // service, port

  // Opens revision n+1 of a project (made if new), in state kApplying, and takes the host-wide leases, all in one
  // transaction. kConflict names the other project where a subnet or a port is taken meanwhile.
  struct NewRevision {
    std::string project;
    bool single_container = false;
    std::optional<Origin> origin = {};  // none: as it was before, or files
    std::string spec_json;
    std::string summary;
    std::string plan_digest;
    std::uint64_t base_revision = 0;  // kStale where it is not the newest any more
    std::map<std::string, spec::Ipv4> addresses;
    std::map<std::string, spec::Ipv4Net> subnets;   // of every network of the project, chosen or declared
    std::map<std::string, spec::Ipv6Net> subnets6;  // of those that have one
    Ports ports;                                    // taken beside those the project has, until SettlePorts
  };
  Result<std::uint64_t> BeginRevision(const NewRevision& revision);
  Result<> SetOrigin(std::string_view project, Origin origin);
  // The kernel publishes these ports now and no others: what was taken beyond is given back.
  Result<> SettlePorts(std::string_view project, const Ports& ports);
  Result<std::vector<RevisionRow>> Revisions(std::string_view project);
  Result<std::optional<RevisionRow>> LastRevision(std::string_view project);

  struct ResourceChange {
    Address address;
    std::optional<ResourceRow> row;  // none: removed, and its leases
  };
  Result<> ChangeResources(std::string_view project, std::span<const ResourceChange> changes);  // all or none
  // changes: the last ones of the revision, all or none with its state: each transaction is waited for until it is on
  // the disk.
  Result<> FinishRevision(std::string_view project, std::uint64_t number, RevisionState state,
                          std::span<const ResourceChange> changes = {});
  Result<> PutResource(std::string_view project, const ResourceRow& row);
  Result<> RemoveResource(std::string_view project, const Address& address);
  Result<> PutCompletedJob(std::string_view project, std::string_view service, const std::optional<Digest>& digest);
  // Forgets a project that has no resources; its history stays unless forget_history.
  Result<> RemoveProject(std::string_view project, bool forget_history);

  // ---- observed.db ----
  struct JournalResult {
    std::uint64_t id = 0;
    std::optional<std::pair<PartKey, Observation>> seen;  // what came of it
  };
  // done: what has come of others, in the same transaction.
  Result<std::uint64_t> JournalIntent(const PartKey& key, std::string_view verb, std::string_view step,
                                      std::span<const JournalResult> done = {});
  Result<> JournalDone(std::span<const JournalResult> done);
  Result<> JournalDone(std::uint64_t id);
  Result<std::vector<JournalRow>> OpenIntents(std::string_view project);
  Result<> CloseIntents(std::string_view project);

  Result<> PutObservation(const PartKey& key, const Observation& observation);  // absent: removes the row
  Result<Observations> LoadObservations(std::string_view project);

  // Small facts of the machine: "ip_forward before us" -> "0".
  Result<> PutFact(std::string_view name, const std::optional<std::string>& value);
  Result<std::optional<std::string>> GetFact(std::string_view name);

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// The lock of a project: flock(2) on a file, so it dies with its holder. The file's text names the holder.
class ProjectLock {
 public:
  // kLocked with pid and command of the holder once `patience` is over; kInterrupted.
  static Result<ProjectLock> Take(const Directories& directories, std::string_view project,
                                  const LockPatience& patience);
  // Whether somebody has it, by proc_locks(5), without being in anybody's way; where that may not be looked at, yes.
  static bool IsHeld(const Directories& directories, std::string_view project);
  // Its file goes too: nothing is left of the project. Whoever waits for it takes another one.
  void Remove(const Directories& directories, std::string_view project);
  ~ProjectLock();
  ProjectLock(ProjectLock&& other) noexcept;
  ProjectLock& operator=(ProjectLock&& other) noexcept;

 private:
  explicit ProjectLock(int fd) : fd_(fd) {}
  static Result<ProjectLock> Open(const std::string& path);
  int fd_ = -1;
};

}  // namespace nucleus::state
