// Compiled seccomp programs in a directory, by the digest of everything that they are a function of.
//
// An entry is a file named after its key, written beside and renamed, and it has the digest of its contents in it: what
// is torn, cut or of another format is as if it were not there. The directory must be writable by nobody else: who can
// write there decides what is filtered. Threads and processes may store and load the same entry at once. The youngest
// entries are kept, by the time they were stored.
#pragma once

#include <optional>

#include "policy/seccomp_resolve.hpp"
#include "spec/core/hash.hpp"
#include "state/parts/launch.hpp"

namespace nucleus::policy {

inline constexpr std::size_t kMostCachedSeccomp = 64;

struct CachedSeccomp {
  std::vector<BpfInstruction> program;
  bool flag_log = false, flag_spec_allow = false;
  bool operator==(const CachedSeccomp&) const = default;
};

// profile: its bytes. compiler: the version of libseccomp.
Digest SeccompCacheKey(std::string_view profile, const SeccompInputs& inputs, std::string_view compiler);

std::optional<CachedSeccomp> LoadCachedSeccomp(const std::string& directory, const Digest& key);
Result<> StoreCachedSeccomp(const std::string& directory, const Digest& key, const CachedSeccomp& entry);

// Exposed for tests and fuzzers.
std::string EncodeCachedSeccomp(const Digest& key, const CachedSeccomp& entry);
std::optional<CachedSeccomp> DecodeCachedSeccomp(const Digest& key, std::string_view data);

}  // namespace nucleus::policy
