// Names of things: the address of a resource in a project ("service.web"), and of a part of it ("service.web/netns").
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "spec/core/error.hpp"

namespace nucleus {

enum class Kind : std::uint8_t {
  kTopology,  // what belongs to the whole project: its nftables table
  kNetwork,
  kVolume,
  kService,
  kContainer,  // started by hand with `run` or `create`
};

std::string_view KindName(Kind kind);

// The address of a resource. Unique in its project. Ordered by kind, then name.
struct Address {
  Kind kind = Kind::kService;
  std::string name;

  [[nodiscard]] std::string Text() const;  // "service.web"
  static Result<Address> Parse(std::string_view text);

  auto operator<=>(const Address&) const = default;
};

// One kind of kernel object, or set of files, that a resource consists of. Every part has one actuator.
enum class Part : std::uint8_t {
  kBridge,     // network: the bridge link and its address                     netns
  kFirewall,   // topology: the nftables table, port forwards included         netns
  kDirectory,  // volume: the directory or tmpfs behind it                     mounts
  kCgroup,     // service: the control group and its limits                    cgroup
  kNetns,      // service: pinned network namespace, veths, addresses, routes  netns
  kNames,      // service: hosts, resolv.conf and hostname files               netns
  kProcess,    // service: supervisor and workload                             process
};

std::string_view PartName(Part part);

// A part of a resource of a project: the unit that is probed, applied and undone.
// Everything in the kernel that belongs to it is named after it (see names.hpp), so the key alone suffices to find it.
struct PartKey {
  std::string project;
  Address address;
  Part part = Part::kProcess;

  [[nodiscard]] std::string Text() const;  // "service.web/netns", without the project
  static Result<PartKey> Parse(std::string_view project, std::string_view text);

  auto operator<=>(const PartKey&) const = default;
};

// A name of a service, network or volume: a letter or digit first, then also _ . -, at most 63 bytes.
bool IsValidName(std::string_view name);
// The same without upper case.
bool IsValidProjectName(std::string_view name);

}  // namespace nucleus
