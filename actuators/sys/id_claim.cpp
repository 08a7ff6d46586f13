#include "actuators/sys/id_claim.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>

#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

// Closing the descriptor would give the lock up.
void HoldForever(Fd claim) {
  (void)claim.release();
}

std::string PathOf(std::uint32_t first, const std::string& directory) {
  return directory + "/" + std::to_string(first);
}

}  // namespace

Result<IdSpan> ClaimRange(const IdSpan& from, std::uint32_t count, const std::string& directory,
                          const std::vector<IdSpan>& lent) {
  TRY(MakeDirectories(directory, 0700));
  for (std::uint32_t at = 0; from.count - at >= count; at += count) {
    const std::uint32_t first = from.first + at;
    const auto overlaps = [&](const IdSpan& span) {
      return span.first < first + count && first < span.first + span.count;
    };
    if (std::ranges::any_of(lent, overlaps)) continue;
    const std::string path = PathOf(first, directory);
    Fd claim = TRY(Open(path, O_RDONLY | O_CREAT | O_NOFOLLOW, 0600));
    if (::flock(claim.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) continue;
      return FailSys("lock", path);
    }
    // Changing a lock is not atomic: somebody may have come between, who then has the range.
    if (::flock(claim.get(), LOCK_SH | LOCK_NB) != 0) continue;
    HoldForever(std::move(claim));
    return IdSpan{first, count};
  }
  return Fail(ErrorCode::kUnsupported, "map", "users", "every range of ids is another container's");
}

Result<Fd> ShareRange(std::uint32_t first, const std::string& directory) {
  const std::string path = PathOf(first, directory);
  auto claim = Open(path, O_RDONLY | O_NOFOLLOW);
  if (!claim && claim.error().code == ErrorCode::kNotFound) return Fd();
  if (!claim) return claim;
  if (::flock(claim->get(), LOCK_SH | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FailSys("lock", path);
    return Fail(ErrorCode::kConflict, "map", "users", "another container has its range of ids by now");
  }
  return claim;
}

}  // namespace nucleus::sys
