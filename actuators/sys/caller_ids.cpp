#include "actuators/sys/caller_ids.hpp"

#include <unistd.h>

#include <cstdint>
#include <string>

#include "actuators/sys/accounts.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::sys {

namespace {

std::vector<IdMapLine> AfterRoot(std::uint32_t own, const std::vector<IdSpan>& spans) {
  std::vector<IdMapLine> map{{0, own, 1}};
  std::uint32_t next = 1;
  for (const auto& span : spans) {
    // The kernel takes 340 lines; nobody has so many ranges on purpose.
    constexpr std::size_t kMostLines = 300;
    if (map.size() == kMostLines || span.count > UINT32_MAX - 1 - next) break;
    map.push_back({next, span.first, span.count});
    next += span.count;
  }
  return map;
}

}  // namespace

Result<CallerIds> IdsOfCaller(uid_t uid, gid_t gid) {
  CallerIds ids{{{0, uid, 1}}, {{0, gid, 1}}};
  if (::access(kNewUidMap, X_OK) != 0 || ::access(kNewGidMap, X_OK) != 0) return ids;
  const auto uids = TRY(ReadFileIfThere("/etc/subuid"));
  const auto gids = TRY(ReadFileIfThere("/etc/subgid"));
  if (!uids || !gids) return ids;
  const auto accounts = ReadAccounts("/");
  const UserEntry* user = accounts ? FindUser(accounts->users, uid) : nullptr;
  const std::string name = user != nullptr ? user->name : "";
  const auto lent_uids = ParseSubordinate(*uids, name, uid);
  const auto lent_gids = ParseSubordinate(*gids, name, uid);
  if (lent_uids.empty() || lent_gids.empty()) return ids;
  return CallerIds{AfterRoot(uid, lent_uids), AfterRoot(gid, lent_gids)};
}

}  // namespace nucleus::sys
