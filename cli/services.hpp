// The services of all projects as they run now: for ps, compose ps, logs and completion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/observe_wiring.hpp"
#include "cli/session.hpp"
#include "spec/core/error.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

struct ServiceRow {
  std::string project;
  Address address;
  bool networked = true;  // there are networks it may be on
  bool alone = false;     // a container in the background: all there is in its project, and called as that is
  std::string id;         // 32 digits; empty where there is no process
  // running, paused, starting, backoff, stopping, exited, failed, stopped; completed for a job; orphaned: its
  // supervisor was killed, and its workload runs on
  std::string state;
  std::string readiness;  // "" where it is not waited for
  std::string words;      // what it says of itself
  std::string health;     // "" where there is no health check
  std::int64_t started_ms = 0;
  std::int64_t finished_ms = 0;  // 0: it runs, or nothing is known of its end
  std::string exit_code;         // of one that has ended
  std::string reason;            // why it ended, where that is known: exit, oom, stopped, unhealthy
  std::uint64_t restarts = 0;
  std::int64_t pid = 0;  // 0: none
  std::int64_t supervisor_pid = 0;
  std::vector<std::string> ports;
  std::optional<std::uint64_t> egress_denied;  // packets, since its rules were made; none: no rules, or not readable
  std::string detail;                          // why it cannot be read, or could not start

  [[nodiscard]] bool Ended() const;        // nothing runs, nothing is going to
  [[nodiscard]] std::string Name() const;  // "shop/web"; "web" of a container
  // As it is shown and asked for: "service.web", "container.web" of one that was started by hand.
  [[nodiscard]] std::string Asked() const;
};

// What was applied of a project, and the services that an apply which has not come through has begun, with what they
// use.
Result<spec::Topology> AppliedAndBegun(state::Store& store, const Directories& directories, const World& world);

// By project and name. only: one project; "": all.
Result<std::vector<ServiceRow>> ListServices(state::Store& store, const Directories& directories,
                                             const std::string& only);

// Fills in egress_denied: by the pin of a service's network namespace, by the process of a container.
void CountDenials(const Directories& directories, std::vector<ServiceRow>& rows);

// SERVICE, TOPOLOGY/SERVICE, or the beginning of an id. kNotFound with the nearest, kConflict with all that fit.
Result<ServiceRow> FindService(const std::vector<ServiceRow>& rows, const std::string& name);

std::string ServicesText(const std::vector<ServiceRow>& rows, std::int64_t now_ms);

}  // namespace nucleus::cli
