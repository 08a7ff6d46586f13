#include "state/leases.hpp"

#include <utility>

#include "spec/net.hpp"

namespace nucleus::state {

namespace {

constexpr std::string_view ProtocolText(spec::Protocol protocol) {
  switch (protocol) {
    case spec::Protocol::kTcp:
      return "tcp";
    case spec::Protocol::kUdp:
      return "udp";
  }
  return "";
}

spec::Ipv4 Ip(std::int64_t value) {
  return {static_cast<std::uint32_t>(value)};
}
std::int64_t Number(spec::Ipv4 ip) {
  return std::int64_t{ip.value};
}

// host_ip and host_ip6 of a port, at two columns in a row.
void BindHost(Statement& row, const spec::PortForward& port) {
  const auto* v4 = port.host_ip ? std::get_if<spec::Ipv4>(&*port.host_ip) : nullptr;
  const auto* v6 = port.host_ip ? std::get_if<spec::Ipv6>(&*port.host_ip) : nullptr;
  v4 != nullptr ? row.Bind(Number(*v4)) : row.Bind(std::nullopt);
  v6 != nullptr ? row.Bind(spec::Format(*v6)) : row.Bind(std::nullopt);
}

Result<std::optional<spec::IpAddress>> HostOf(const Statement& row, int column) {
  if (!row.IsNull(column)) return spec::IpAddress(Ip(row.Int(column)));
  if (row.IsNull(column + 1)) return std::nullopt;
  return spec::IpAddress(TRY(spec::ParseIpv6(row.Text(column + 1))));
}

spec::Ipv4Net Net(const Statement& row, int column) {
  return {Ip(row.Int(column)), static_cast<std::uint8_t>(row.Int(column + 1))};
}

// "service.web/internal" -> {"service.web", "internal"}
Result<std::pair<std::string, std::string>> SplitKey(const std::string& key) {
  const auto slash = key.find('/');
  if (slash == std::string::npos) {
    return Fail(ErrorCode::kInternal, "lease address of", key, "not of the form service/network");
  }
  return std::pair{key.substr(0, slash), key.substr(slash + 1)};
}

Result<> CheckAgainstOthers(Database& db, const Store::NewRevision& revision) {
  const auto taken = TRY(LoadHostLeases(db));
  for (const auto& [project, lease] : taken.subnets) {
    if (project == revision.project) continue;
    for (const auto& [network, subnet] : revision.subnets) {
      if (!spec::Overlap(subnet, lease.second)) continue;
      return Fail(ErrorCode::kConflict, "take", network + " " + spec::Format(subnet),
                  "it overlaps with " + spec::Format(lease.second) + " of " + project + "/" + lease.first);
    }
  }
  for (const auto& [project, lease] : taken.subnets6) {
    if (project == revision.project) continue;
    for (const auto& [network, subnet] : revision.subnets6) {
      if (!spec::Overlap(subnet, lease.second)) continue;
      return Fail(ErrorCode::kConflict, "take", network + " " + spec::Format(subnet),
                  "it overlaps with " + spec::Format(lease.second) + " of " + project + "/" + lease.first);
    }
  }
  for (const auto& [project, lease] : taken.ports) {
    if (project == revision.project) continue;
    for (const auto& [service, port] : revision.ports) {
      if (!spec::Collide(port, lease.second)) continue;
      return Fail(ErrorCode::kConflict, "take", "published port " + spec::Format(port) + " for service." + service,
                  "taken by " + project + "/service." + lease.first);
    }
  }
  return {};
}

Result<> TakeSubnets(Database& db, const Store::NewRevision& revision) {
  TRY(
      db.Run("DELETE FROM subnet_lease WHERE project = ?1 AND network NOT IN "
             "(SELECT address FROM resource WHERE project = ?1)",
             revision.project));
  for (const auto& [network, subnet] : revision.subnets) {
    auto row =
        TRY(db.Prepare("INSERT OR REPLACE INTO subnet_lease (project, network, base, prefix, subnet6) "
                       "VALUES (?, ?, ?, ?, ?)"));
    row.Bind(revision.project).Bind(network).Bind(Number(subnet.base)).Bind(std::int64_t{subnet.prefix});
    const auto v6 = revision.subnets6.find(network);
    v6 != revision.subnets6.end() ? row.Bind(spec::Format(v6->second)) : row.Bind(std::nullopt);
    TRY(row.Run());
  }
  return {};
}

Result<> TakeAddresses(Database& db, const Store::NewRevision& revision) {
  TRY(
      db.Run("DELETE FROM address_lease WHERE project = ?1 AND service NOT IN "
             "(SELECT address FROM resource WHERE project = ?1)",
             revision.project));
  for (const auto& [key, address] : revision.addresses) {
    const auto [service, network] = TRY(SplitKey(key));
    TRY(db.Run("INSERT OR REPLACE INTO address_lease (project, service, network, address) VALUES (?, ?, ?, ?)",
               revision.project, service, network, Number(address)));
  }
  auto twice =
      TRY(db.Prepare("SELECT network, address, min(service), max(service) FROM address_lease "
                     "WHERE project = ? GROUP BY network, address HAVING count(*) > 1"));
  twice.Bind(revision.project);
  if (TRY(twice.Step())) {
    return Fail(ErrorCode::kConflict, "lease", spec::Format(Ip(twice.Int(1))) + " of network." + twice.Text(0),
                "both " + twice.Text(2) + " and " + twice.Text(3) + " would have it");
  }
  return {};
}

// Beside those that it has: until an apply is through, the kernel may publish the old ports as well as the new.
Result<> TakePorts(Database& db, std::string_view project, const Store::Ports& ports) {
  for (const auto& [service, port] : ports) {
    auto held =
        TRY(db.Prepare("DELETE FROM port_lease WHERE project = ? AND service = ? AND host_port = ? AND protocol = ? "
                       "AND container_port = ? AND host_ip IS ? AND host_ip6 IS ?"));
    held.Bind(project).Bind(service).Bind(std::int64_t{port.host_port}).Bind(ProtocolText(port.protocol));
    held.Bind(std::int64_t{port.container_port});
    BindHost(held, port);
    TRY(held.Run());
    auto row =
        TRY(db.Prepare("INSERT INTO port_lease (project, service, host_port, container_port, protocol, host_ip, "
                       "host_ip6) VALUES (?, ?, ?, ?, ?, ?, ?)"));
    row.Bind(project).Bind(service).Bind(std::int64_t{port.host_port});
    row.Bind(std::int64_t{port.container_port}).Bind(ProtocolText(port.protocol));
    BindHost(row, port);
    TRY(row.Run());
  }
  return {};
}

}  // namespace

Result<> LoadProjectLeases(Database& db, ProjectRow& project) {
  auto addresses = TRY(db.Prepare("SELECT service, network, address FROM address_lease WHERE project = ?"));
  addresses.Bind(project.name);
  while (TRY(addresses.Step())) {
    project.addresses.emplace(addresses.Text(0) + "/" + addresses.Text(1), Ip(addresses.Int(2)));
  }
  auto subnets = TRY(db.Prepare("SELECT network, base, prefix FROM subnet_lease WHERE project = ?"));
  subnets.Bind(project.name);
  while (TRY(subnets.Step())) project.subnets.emplace(subnets.Text(0), Net(subnets, 1));
  return {};
}

Result<HostLeases> LoadHostLeases(Database& db) {
  HostLeases leases;
  auto subnets =
      TRY(db.Prepare("SELECT project, network, base, prefix, subnet6 FROM subnet_lease ORDER BY project, network"));
  while (TRY(subnets.Step())) {
    leases.subnets.push_back({subnets.Text(0), {subnets.Text(1), Net(subnets, 2)}});
    if (subnets.IsNull(4)) continue;
    leases.subnets6.push_back({subnets.Text(0), {subnets.Text(1), TRY(spec::ParseIpv6Net(subnets.Text(4)))}});
  }

  auto ports =
      TRY(db.Prepare("SELECT project, service, host_port, container_port, protocol, host_ip, host_ip6 FROM port_lease "
                     "ORDER BY project, service, host_port, protocol"));
  while (TRY(ports.Step())) {
    spec::PortForward port;
    port.host_port = static_cast<std::uint16_t>(ports.Int(2));
    port.container_port = static_cast<std::uint16_t>(ports.Int(3));
    port.protocol = ports.Text(4) == ProtocolText(spec::Protocol::kUdp) ? spec::Protocol::kUdp : spec::Protocol::kTcp;
    port.host_ip = TRY(HostOf(ports, 5));
    leases.ports.push_back({ports.Text(0), {ports.Text(1), port}});
  }
  return leases;
}

Result<> TakeLeases(Database& db, const Store::NewRevision& revision) {
  TRY(CheckAgainstOthers(db, revision));
  TRY(TakeSubnets(db, revision));
  TRY(TakeAddresses(db, revision));
  return TakePorts(db, revision.project, revision.ports);
}

Result<> SettlePorts(Database& db, std::string_view project, const Store::Ports& ports) {
  TRY(db.Run("DELETE FROM port_lease WHERE project = ?", project));
  return TakePorts(db, project, ports);
}

Result<> GiveBackLeases(Database& db, std::string_view project, const Address& address) {
  switch (address.kind) {
    case Kind::kTopology:
    case Kind::kVolume:
      return {};
    case Kind::kNetwork:
      TRY(db.Run("DELETE FROM address_lease WHERE project = ? AND network = ?", project, address.name));
      return db.Run("DELETE FROM subnet_lease WHERE project = ? AND network = ?", project, address.Text());
    case Kind::kService:
    case Kind::kContainer:
      TRY(db.Run("DELETE FROM port_lease WHERE project = ? AND service = ?", project, address.name));
      return db.Run("DELETE FROM address_lease WHERE project = ? AND service = ?", project, address.Text());
  }
  return {};
}

}  // namespace nucleus::state
