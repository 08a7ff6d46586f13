// What a control group uses, and what its processes have sent and received. Reads only.
//
// What has no value is not to be had: the group has no such controller, or it was removed meanwhile. Times are in
// microseconds.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "spec/core/error.hpp"

namespace nucleus::cgroup {

using Count = std::optional<std::uint64_t>;

// How long some, or all, of its processes waited; Documentation/accounting/psi.rst. avg10 in hundredths of a percent.
struct Pressure {
  std::uint32_t some_avg10 = 0, full_avg10 = 0;
  std::uint64_t some_total = 0, full_total = 0;
  bool operator==(const Pressure&) const = default;
};

struct Usage {
  Count cpu, cpu_user, cpu_system, cpu_throttled;
  Count memory, memory_peak, memory_anonymous, memory_files, swap;
  Count memory_limit, swap_limit, pids_limit;  // none also where there is no limit
  Count pids;
  Count read_bytes, written_bytes, reads, writes;
  std::optional<Pressure> cpu_pressure, memory_pressure, io_pressure;
  bool operator==(const Usage&) const = default;
};

// Of a group's absolute directory. kNotFound where it is not there.
Result<Usage> ReadUsage(const std::string& directory);

struct LinkUsage {
  std::uint64_t received = 0, received_packets = 0, sent = 0, sent_packets = 0;
  std::uint64_t received_dropped = 0, sent_dropped = 0;
  bool operator==(const LinkUsage&) const = default;
};
using Links = std::map<std::string, LinkUsage>;  // by their names inside, without the loopback

// Of the network namespace that a process is in; proc_pid_net(5). None where it has ended.
Result<std::optional<Links>> ReadLinks(pid_t pid);

// Of the texts of the kernel's files; what does not read is left out.
std::optional<Pressure> ParsePressure(std::string_view text);
Links ParseLinks(std::string_view text);
// Adds up the devices of io.stat.
void ParseIo(std::string_view text, Usage& usage);

}  // namespace nucleus::cgroup
