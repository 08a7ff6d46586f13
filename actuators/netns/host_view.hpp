// The links of the machine and whose they are, as probes look at them. Internal to actuators/netns.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "actuators/netns/netlink.hpp"
#include "spec/core/address.hpp"
#include "spec/core/names.hpp"

namespace nucleus::netns {

inline constexpr std::string_view kAliasTag = "nucleus:";

// The host's side of the network, with the look-ups that all parts need.
class HostView {
 public:
  static Result<HostView> Take();
  // Only these links, as far as they are there: a whole list grows with the machine, and while others make links the
  // kernel has it begun anew.
  static Result<HostView> Take(const std::set<std::string>& names);
  HostView(HostView&&) = default;  // moving a vector leaves its elements where they are
  HostView& operator=(HostView&&) = default;
  HostView(const HostView&) = delete;
  HostView& operator=(const HostView&) = delete;

  [[nodiscard]] const Snapshot& snapshot() const { return snapshot_; }
  [[nodiscard]] const Link* Find(const std::string& name) const { return At(by_name_, name); }
  [[nodiscard]] const Link* Find(int index) const { return At(by_index_, index); }
  [[nodiscard]] std::vector<const Link*> WithAlias(const std::string& alias) const {
    std::vector<const Link*> links;
    const auto [begin, end] = by_alias_.equal_range(alias);
    for (auto it = begin; it != end; ++it) links.push_back(it->second);
    return links;
  }

 private:
  explicit HostView(Snapshot snapshot) : snapshot_(std::move(snapshot)) {
    for (const auto& link : snapshot_.links) {
      by_name_.emplace(link.name, &link);
      by_index_.emplace(link.index, &link);
      if (!link.alias.empty()) by_alias_.emplace(link.alias, &link);
    }
  }
  template <class Map, class Key>
  static const Link* At(const Map& map, const Key& key) {
    const auto it = map.find(key);
    return it == map.end() ? nullptr : it->second;
  }

  Snapshot snapshot_;
  std::unordered_map<std::string, const Link*> by_name_;
  std::unordered_map<int, const Link*> by_index_;
  std::unordered_multimap<std::string_view, const Link*> by_alias_;
};

bool HasIpv6Address(const Snapshot& snapshot, int link);

// The resource of the project that a link's alias names.
std::optional<Address> OwnerOf(const Link& link, std::string_view project);

inline bool IsService(const Address& address) {
  return address.kind == Kind::kService || address.kind == Kind::kContainer;
}

// Those of a project that have a pinned network namespace.
std::vector<Address> PinnedServices(const Directories& directories, const std::string& project);

}  // namespace nucleus::netns
