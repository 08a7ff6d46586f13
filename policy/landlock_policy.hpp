// Landlock policies: which paths, ports and outside processes a container's programs may reach. landlock(7).
//
//     min_abi = 3                  # what the kernel must have at least, 1 to 7; not given: 1
//     tcp_bind = [8080]            # these ports and no others; not given: not restricted (ABI 4)
//     tcp_connect = [5432]
//     scope = ["abstract_sockets", "signals"]      # kept in: none outside is reached (ABI 6)
//
//     [[rules]]                    # beneath every other path nothing is allowed
//     path = "/etc/app"            # absolute, inside the container
//     access = ["read"]
//
// The words: read (files, and the names in directories), readdir (the names alone), write (which is truncate too),
// truncate, execute, create (files, directories, links, sockets, FIFOs), remove, refer (move and link between
// directories), ioctl (of devices), all (these). No word makes device nodes, and `read` never lets anything be
// executed. Unknown keys and words are errors with their place and the nearest known one. Reading is pure; whether a
// path is there is for whoever applies the policy, and an error there.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spec/load.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::policy {

struct LandlockPathRule {
  std::string path;          // absolute, without "." and ".." and without a slash at its end
  std::uint64_t access = 0;  // LANDLOCK_ACCESS_FS_*, of a directory; sys::LandlockRightsOf() of others
  spec::Place place;
  bool operator==(const LandlockPathRule& other) const { return path == other.path && access == other.access; }
};

struct LandlockPolicy {
  std::uint32_t min_abi = 1;
  std::uint64_t handled_fs = 0;         // every right there is: what no rule gives is refused
  std::vector<LandlockPathRule> rules;  // in the order of the file; each path once
  // LANDLOCK_ACCESS_NET_*; none: ports are not restricted. Sorted, each once; 0 (any port that is free) is allowed for
  // tcp_bind only.
  std::optional<std::vector<std::uint16_t>> tcp_bind, tcp_connect;
  std::uint64_t scoped = 0;  // LANDLOCK_SCOPE_*
  bool operator==(const LandlockPolicy&) const = default;

  // required: see nucleus::Landlock. Every path has to be there.
  [[nodiscard]] Landlock ToLandlock(bool required) const;
};

struct LandlockPolicyRead {
  std::optional<LandlockPolicy> policy;  // none where there are errors
  std::vector<spec::Problem> problems;
};
// text: at most 256 KiB.
LandlockPolicyRead ReadLandlockPolicy(std::string_view text, std::string_view file);

// The words of access, for documents, and the rights of each: LANDLOCK_ACCESS_FS_*.
struct LandlockWord {
  std::string_view text;
  std::uint64_t bits = 0;
};
std::span<const LandlockWord> LandlockAccessWords();

// What a kernel of this ABI (0: none) would not do of a policy, one sentence each: "moving and linking between
// directories is always refused (ABI 2)". Fatal in production; empty where nothing is lost.
struct LandlockLoss {
  std::string what;
  bool weaker = false;  // the container could do more than the policy says; else less
  bool operator==(const LandlockLoss&) const = default;
};
std::vector<LandlockLoss> LandlockLosses(const LandlockPolicy& policy, std::uint32_t abi);

}  // namespace nucleus::policy
