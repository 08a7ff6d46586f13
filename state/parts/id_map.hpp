// Ids of a user namespace, and what they are outside of it; user_namespaces(7). Pure, free of allocation.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "state/parts/launch.hpp"

namespace nucleus {

// The id that the kernel and other namespaces show where a namespace has no name for one; /proc/sys/kernel/overflowuid.
inline constexpr std::uint32_t kOverflowId = 65534;

constexpr std::optional<std::uint32_t> OutsideId(std::span<const IdRange> map, std::uint32_t inside) {
  for (const IdRange& range : map)
    if (inside >= range.inside && inside - range.inside < range.count) return range.outside + (inside - range.inside);
  return std::nullopt;
}

// What the workload's ids are for whoever starts it. Where it has no user namespace of its own: the same.
inline std::uint32_t OutsideUid(const UserNamespace& space, std::uint32_t inside) {
  return space.enabled ? OutsideId(space.uids, inside).value_or(kOverflowId) : inside;
}
inline std::uint32_t OutsideGid(const UserNamespace& space, std::uint32_t inside) {
  return space.enabled ? OutsideId(space.gids, inside).value_or(kOverflowId) : inside;
}

}  // namespace nucleus
