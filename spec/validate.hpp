// What no single key can tell: whether the resources of a topology fit together, and fit the machine's files.
// Every problem is reported, each at the key or item that causes it. The outside may be without functions: then only
// what the topology says about itself is checked.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "spec/reader.hpp"

namespace nucleus::spec {

void Validate(const Topology& topology, Reader& reader);

// One service by itself.
void ValidateService(const Service& service, const Topology& topology, Reader& reader);
void ValidateMounts(const Service& service, const Topology& topology, Reader& reader);
// Services among each other: who waits for whom.
void ValidateDependencies(const Topology& topology, Reader& reader);

using Members = std::map<std::string_view, std::size_t>;  // by network: how many services are on it
void ValidateNetworks(const Topology& topology, Members members, Reader& reader);

// What only one service of a topology can have. Each is told of all services in turn, which it points at: of many
// services, whoever goes through them once more waits for memory.
class TakenAddresses {
 public:
  void Add(const Service& service, Reader& reader);

 private:
  std::map<Ipv4, const Service*> taken_;
};

class TakenPorts {
 public:
  void Add(const Service& service, Reader& reader);

 private:
  struct Taken {
    const PortForward* forward = nullptr;
    const Service* service = nullptr;
  };
  // Of one port of the host, who has it: the first on each address, the first of each family, and the first at all. A
  // forward without an address takes all of them, one with 0.0.0.0 or :: all of its family.
  struct Holders {
    std::map<std::optional<IpAddress>, Taken> by_address;
    std::map<bool, Taken> by_family;
    Taken first;
    [[nodiscard]] const Taken* Of(const std::optional<IpAddress>& address) const;
    [[nodiscard]] const Taken* InTheWayOf(const PortForward& forward) const;
  };
  std::map<std::pair<Protocol, std::uint16_t>, Holders> ports_;
};

// ld.so(8): what leads the dynamic loader, or libc behind a program's back, to files and settings of somebody's choice.
bool LeadsTheLoader(std::string_view variable);
// Their names for documents; "LD_*" are those that begin so.
std::span<const std::string_view> LoaderVariables();
// Where nothing may be mounted, nor below: for documents. "/" itself neither, and /dev/shm may.
std::span<const std::string_view> ReservedDestinations();
// "--allow-host-network" of a command line, "allow_host_network = true" of a file.
std::string Spelled(std::string_view key, std::string_view value, const Reader& reader);

// The place of a key, or of the resource where the key was not written.
template <class Resource>
Place PlaceOf(const Resource& resource, std::string_view key) {
  auto place = resource.places.find(key);
  if (place == resource.places.end()) place = resource.places.find("");
  return place == resource.places.end() ? Place{} : place->second;
}

// The place of one item of a list, by what the item is named after (see read.cpp); else that of the list's key.
inline Place PlaceOfItem(const Service& service, std::string_view key, std::string_view item) {
  const auto place = service.places.find(std::string(key) + ":" + std::string(item));
  return place == service.places.end() ? PlaceOf(service, key) : place->second;
}

// Whether the key was written, rightly or not.
inline bool IsGiven(const Service& service, std::string_view key) {
  return service.places.contains(key);
}

}  // namespace nucleus::spec
