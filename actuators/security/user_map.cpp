#include "actuators/security/user_map.hpp"

#include <algorithm>
#include <limits>

#include "state/parts/id_map.hpp"

namespace nucleus::security {

namespace {

constexpr sys::IdSpan kContainers{524288, 1878982656U - 524288U};
constexpr std::uint32_t kFull = 65536;
// Of an ordinary user's subordinate ids, of which there are mostly 65536, so that several containers have some.
constexpr std::uint32_t kSlice = 4096;

// From 1 on: 0 is the caller.
std::uint32_t Subordinate(const std::vector<sys::IdMapLine>& map) {
  std::uint32_t end = 1;
  for (const auto& line : map)
    if (line.inside == end) end += line.count;
  return end - 1;
}

std::unexpected<Error> NoSubordinate() {
  return Fail(Error::Of(ErrorCode::kUnsupported, "map", "users", "the caller has no subordinate ids")
                  .Hint("install newuidmap (package uidmap), and give the user lines in /etc/subuid and /etc/subgid"));
}

// The caller under its own number, and the subordinate ids around it.
std::vector<IdRange> Keep(std::uint32_t own, std::uint32_t lent) {
  std::vector<IdRange> map;
  const std::uint32_t below = std::min(own, lent);
  if (below > 0) map.push_back({0, 1, below});
  map.push_back({own, 0, 1});
  if (lent > below) map.push_back({own + 1, 1 + below, lent - below});
  return map;
}

std::uint32_t CallerOf(const std::vector<sys::IdMapLine>& map) {
  for (const auto& line : map)
    if (line.inside == 0) return line.outside;
  return 0;
}

// Of each range what ours has, which may be several pieces. Where it lacks one, the kernel has refused the map.
std::vector<IdRange> Through(const std::vector<IdRange>& map, const std::vector<sys::IdMapLine>& own) {
  std::vector<IdRange> out;
  for (const auto& range : map) {
    for (const auto& line : own) {
      const std::uint64_t begin = std::max(range.outside, line.inside);
      const std::uint64_t end =
          std::min(std::uint64_t{range.outside} + range.count, std::uint64_t{line.inside} + line.count);
      if (begin >= end) continue;
      out.push_back({static_cast<std::uint32_t>(range.inside + (begin - range.outside)),
                     static_cast<std::uint32_t>(line.outside + (begin - line.inside)),
                     static_cast<std::uint32_t>(end - begin)});
    }
  }
  return out;
}

std::vector<IdRange> All(const std::vector<sys::IdMapLine>& own) {
  std::vector<IdRange> out;
  for (const auto& line : own) out.push_back({line.inside, line.outside, line.count});
  return out;
}

bool Wanted(const spec::Service& service) {
  return service.rootless || service.userns.has_value();
}

}  // namespace

Result<OwnIds> ReadOwnIds() {
  return OwnIds{TRY(sys::OwnUids()), TRY(sys::OwnGids())};
}

std::optional<RangeNeed> NeedOf(const spec::Service& service, const OwnIds& own) {
  if (!Wanted(service)) return std::nullopt;
  if (sys::IsWhole(own.uids)) {
    if (service.userns == spec::UserMap::kKeepId) return std::nullopt;
    return RangeNeed{kContainers, kFull, true};
  }
  const std::uint32_t lent = std::min(Subordinate(own.uids), Subordinate(own.gids));
  if (service.userns != spec::UserMap::kAuto || lent == 0) return std::nullopt;
  return RangeNeed{{1, lent}, std::min(kSlice, lent), false};
}

Result<UserNamespace> MapUsers(const spec::Service& service, const OwnIds& own,
                               const std::optional<sys::IdSpan>& range) {
  UserNamespace space;
  if (!Wanted(service)) return space;
  if (range) {
    space.uids = space.gids = {{0, range->first, range->count}};
  } else if (sys::IsWhole(own.uids)) {
    space.uids = space.gids = {{0, 0, kFull}};
  } else if (!service.userns) {
    return space;  // the one that we are in
  } else {
    const std::uint32_t uids = Subordinate(own.uids), gids = Subordinate(own.gids);
    if (*service.userns == spec::UserMap::kKeepId) {
      space.uids = Keep(CallerOf(own.uids), uids);
      space.gids = Keep(CallerOf(own.gids), gids);
    } else {
      if (uids == 0 || gids == 0) return NoSubordinate();
      space.uids = {{0, 1, uids}};
      space.gids = {{0, 1, gids}};
    }
  }
  space.enabled = true;
  return space;
}

UserNamespace SeenFromOutside(const UserNamespace& space, const OwnIds& own) {
  UserNamespace seen = space;
  if (sys::IsWhole(own.uids)) return seen;
  seen.enabled = true;
  seen.uids = space.enabled ? Through(space.uids, own.uids) : All(own.uids);
  seen.gids = space.enabled ? Through(space.gids, own.gids) : All(own.gids);
  return seen;
}

spec::Owner DefaultUser(const spec::Service& service, const OwnIds& own) {
  if (!service.user.user.empty() || service.userns != spec::UserMap::kKeepId || sys::IsWhole(own.uids))
    return service.user;
  const std::string& group = service.user.group;
  return {std::to_string(CallerOf(own.uids)), group.empty() ? std::to_string(CallerOf(own.gids)) : group};
}

Result<> CheckMapped(const Identity& identity, const UserNamespace& space, const OwnIds& own) {
  const auto has = [](const std::vector<IdRange>& map, const std::vector<sys::IdMapLine>& lines, bool enabled,
                      std::uint32_t id) {
    if (enabled) return OutsideId(map, id).has_value();
    return std::ranges::any_of(lines,
                               [id](const auto& line) { return id >= line.inside && id - line.inside < line.count; });
  };
  const auto lacks = [](std::string_view what, std::uint32_t id) {
    return Fail(Error::Of(ErrorCode::kUnsupported, "map", std::string(what) + " " + std::to_string(id),
                          "the user namespace has no such id")
                    .Hint("ids beyond the caller's own come from /etc/subuid and /etc/subgid"));
  };
  if (!has(space.uids, own.uids, space.enabled, identity.uid)) return lacks("user", identity.uid);
  std::vector<std::uint32_t> groups = identity.groups;
  groups.push_back(identity.gid);
  for (const std::uint32_t gid : groups)
    if (!has(space.gids, own.gids, space.enabled, gid)) return lacks("group", gid);
  return {};
}

}  // namespace nucleus::security
