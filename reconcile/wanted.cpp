#include "reconcile/wanted.hpp"

#include <algorithm>
#include <array>

#include "reconcile/fields.hpp"
#include "reconcile/limits.hpp"
#include "spec/net.hpp"

namespace nucleus::reconcile {

namespace {

constexpr std::array kNetworkParts = {Part::kBridge};
constexpr std::array kVolumeParts = {Part::kDirectory};
constexpr std::array kServiceParts = {Part::kCgroup, Part::kNetns, Part::kNames, Part::kProcess};
constexpr std::array kTopologyParts = {Part::kFirewall};

constexpr std::uint32_t kMtu = 1500;
// Where a sandbox of an agent looks names up when nothing is said; production names its own.
constexpr std::array kAgentDns = {spec::IpAddress(spec::Ipv4{0x08080808}), spec::IpAddress(spec::Ipv4{0x08080404})};

std::uint32_t MtuOf(const spec::Network& network) {
  return network.mtu == 0 ? kMtu : network.mtu;
}

std::string HostnameOf(const spec::Service& service) {
  return service.hostname.empty() ? service.name : service.hostname;
}

std::span<const spec::IpAddress> ResolversOf(const spec::Service& service) {
  const bool agent = service.mode == spec::ServiceMode::kAgent && !service.networks.empty();
  if (service.dns.empty() && agent) return kAgentDns;
  return service.dns;
}

std::string ResolvConf(const spec::Service& service) {
  std::string text;
  for (const auto& server : ResolversOf(service)) text += "nameserver " + spec::Format(server) + "\n";
  return text;
}

// Production that says nothing reaches its peers: services that share a network are there to meet.
std::optional<EgressWanted> EgressOf(const spec::Service& service, std::vector<EgressWanted::Allowed> peers, bool v6) {
  if (!HasEgressRules(service)) return std::nullopt;
  EgressWanted wanted;
  wanted.v6 = v6;
  const auto resolvers = ResolversOf(service);
  wanted.resolvers.assign(resolvers.begin(), resolvers.end());
  wanted.tcp_ports = service.egress_tcp_ports;
  wanted.udp_ports = service.egress_udp_ports;
  if (service.egress_allow) {
    for (const auto& net : *service.egress_allow) wanted.allowed.push_back({net, std::nullopt, false});
  } else if (service.mode == spec::ServiceMode::kProduction) {
    wanted.allowed = std::move(peers);
  }
  wanted.domains = service.egress_domains;
  wanted.domains_must_resolve = service.mode == spec::ServiceMode::kProduction;
  wanted.may_lack = service.mode == spec::ServiceMode::kAgent && service.allow_degraded_security;
  return wanted;
}

// A number of the id range, or nothing.
Result<std::optional<std::uint32_t>> NumericId(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto id = TRY(ParseUnsigned(text));
  if (id >= 0xffffffffu) return Fail(Error::Invalid(text, "is not a user or group id"));
  return static_cast<std::uint32_t>(id);
}

}  // namespace

std::span<const Part> PartsOf(Kind kind) {
  switch (kind) {
    case Kind::kTopology:
      return kTopologyParts;
    case Kind::kNetwork:
      return kNetworkParts;
    case Kind::kVolume:
      return kVolumeParts;
    case Kind::kService:
    case Kind::kContainer:
      return kServiceParts;
  }
  return {};
}

Part MainPart(Kind kind) {
  return PartsOf(kind).back();
}

Side::Side(const spec::Topology& topology, const Leases& leases, const Host& host, const Directories& directories,
           Kind kind)
    : topology_(&topology), host_(&host), directories_(&directories), kind_(kind) {
  addresses_.reserve(leases.addresses.size());
  for (const auto& [key, address] : leases.addresses) {
    if (const auto attached = ParseAddressKey(key)) addresses_.emplace(*attached, address);
  }
  networks_.reserve(topology.networks.size());
  const auto join = [&](std::string_view name) -> Joined& {
    const auto [joined, fresh] = networks_.try_emplace(name);
    if (fresh) joined->second.bridge = BridgeLink(topology.name, name);
    return joined->second;
  };
  for (const auto& [name, network] : topology.networks) {
    auto& joined = join(name);
    joined.network = &network;
    if (const auto subnet = leases.subnets.find(SubnetKey(name)); subnet != leases.subnets.end())
      joined.subnet = subnet->second;
    const auto chosen = leases.subnets6.find(SubnetKey(name));
    joined.subnet6 = chosen != leases.subnets6.end() ? chosen->second : network.subnet6;
  }
  for (const auto& [name, service] : topology.services) {
    for (const auto& network : service.networks) {
      const auto address = AddressOf(service, network);
      if (!address) continue;
      auto& joined = join(network);
      const auto tell = [&](const std::string& ip) {
        joined.hosts.append(ip).append("\t").append(name).append(" ");
        joined.hosts.append(topology.name).append("-").append(name).append("\n");
      };
      const std::size_t begin = joined.hosts.size();
      tell(spec::Format(*address));
      if (const auto v6 = V6Of(joined, *address)) tell(spec::Format(v6->address));
      joined.told.insert_or_assign(name, Joined::Lines{begin, joined.hosts.size()});
    }
  }
}

const Side::Joined* Side::JoinedTo(std::string_view network) const {
  const auto found = networks_.find(network);
  return found == networks_.end() ? nullptr : &found->second;
}

std::optional<spec::Ipv4> Side::AddressOf(const spec::Service& service, std::string_view network) const {
  const auto found = addresses_.find({service.name, network});
  if (found == addresses_.end()) return std::nullopt;
  return found->second;
}

std::optional<Ipv6At> Side::V6Of(const Joined& joined, spec::Ipv4 address) {
  if (!joined.subnet || !joined.subnet6) return std::nullopt;
  return Ipv6At{spec::Counterpart(address, *joined.subnet, *joined.subnet6), joined.subnet6->prefix};
}

std::optional<FirewallWanted> Side::Firewall() const {
  if (topology_->networks.empty()) return std::nullopt;
  FirewallWanted wanted{FirewallTable(topology_->name), FirewallComment(topology_->name), {}, {}, {}};
  for (const auto& [name, network] : topology_->networks) {
    const auto& joined = *JoinedTo(name);
    if (joined.subnet)
      wanted.networks.push_back({name, joined.bridge, *joined.subnet, network.internal, joined.subnet6});
  }
  for (const auto& [name, service] : topology_->services) {
    for (const auto& network : service.networks) {
      const auto address = AddressOf(service, network);
      if (!address) continue;
      const auto v6 = V6Of(*JoinedTo(network), *address);
      wanted.ports.push_back({VethLink(topology_->name, AddressOf(service), network), *address,
                              v6 ? std::optional(v6->address) : std::nullopt});
    }
    if (service.port_forwards.empty() || service.networks.empty()) continue;
    const auto& network = service.networks.front();
    const auto address = AddressOf(service, network);
    if (!address) continue;
    const auto& joined = *JoinedTo(network);
    const auto v6 = V6Of(joined, *address);
    auto ports = service.port_forwards;
    std::sort(ports.begin(), ports.end());
    for (auto& port : ports) {
      if (host_->nested) port.host_ip.reset();
      wanted.forwards.push_back({name, port, *address, joined.bridge, v6 ? std::optional(v6->address) : std::nullopt});
    }
  }
  return wanted;
}

BridgeWanted Side::Bridge(const spec::Network& network) const {
  const auto& joined = *JoinedTo(network.name);
  const auto subnet = joined.subnet.value_or(spec::Ipv4Net{});
  const auto gateway = GatewayOf(network, subnet);
  return {joined.bridge,  LinkAlias(topology_->name, {Kind::kNetwork, network.name}),
          gateway,        subnet.prefix,
          MtuOf(network), V6Of(joined, gateway)};
}

std::string Side::PathOf(const spec::Volume& volume) const {
  return volume.type == spec::VolumeType::kPersistent ? volume.path
                                                      : directories_->VolumeMount(topology_->name, volume.name);
}

DirectoryWanted Side::Directory(const spec::Volume& volume) const {
  DirectoryWanted wanted;
  wanted.type = volume.type;
  wanted.path = PathOf(volume);
  wanted.uid = NumericId(volume.owner.user).value_or(std::nullopt);
  wanted.gid = NumericId(volume.owner.group).value_or(std::nullopt);
  wanted.mode = volume.mode;
  wanted.size = volume.size;
  return wanted;
}

bool Side::HasCgroups() const {
  // Someone without privileges cannot write there; that does not say that nobody can.
  return host_->cgroup_usable || !host_->privileged;
}

std::vector<std::string> Side::Unheld(const spec::Service& service) const {
  return LimitsOf(service, HasCgroups() ? host_->controllers : std::vector<std::string>()).unavailable;
}

std::optional<CgroupWanted> Side::Cgroup(const spec::Service& service) const {
  if (!HasCgroups()) return std::nullopt;
  auto limits = LimitsOf(service, host_->controllers);
  const auto address = AddressOf(service);
  return CgroupWanted{CgroupPath(topology_->name, address), directories_->OwnerTag(topology_->name, address),
                      std::move(limits.files), std::move(limits.unavailable)};
}

NetnsWanted Side::Netns(const spec::Service& service) const {
  const auto address = AddressOf(service);
  NetnsWanted wanted{directories_->NetnsPin(topology_->name, address), LinkAlias(topology_->name, address), {}, {}};
  std::vector<EgressWanted::Allowed> peers;
  bool routed = false;
  bool routed6 = false;
  bool has_v6 = false;
  wanted.userspace = InUserspace(service);
  wanted.userspace_v6 = wanted.userspace && HasIpv6(service);
  wanted.nested = host_->nested;
  wanted.routes_itself = !service.caps_policy.empty();
  for (const auto& name : service.networks) {
    const Joined* joined = JoinedTo(name);
    // It is on none of them, and reaches who is by way of the machine.
    if (wanted.userspace && joined != nullptr && joined->network != nullptr && joined->subnet) {
      const auto host = GatewayOf(*joined->network, *joined->subnet);
      peers.push_back({*joined->subnet, host, true});
      if (const auto host6 = V6Of(*joined, host)) peers.push_back({*joined->subnet6, host6->address, true});
    }
    const auto lease = AddressOf(service, name);
    if (joined == nullptr || joined->network == nullptr || !joined->subnet || !lease) continue;
    const auto gateway = GatewayOf(*joined->network, *joined->subnet);
    const auto gateway6 = V6Of(*joined, gateway);
    NetnsWanted::Attachment attachment;
    attachment.network = name;
    attachment.bridge = joined->bridge;
    attachment.host_link = VethLink(topology_->name, address, name);
    attachment.link = "eth" + std::to_string(wanted.attachments.size());
    attachment.address = *lease;
    attachment.prefix = joined->subnet->prefix;
    attachment.mtu = MtuOf(*joined->network);
    attachment.v6 = V6Of(*joined, *lease);
    has_v6 = has_v6 || attachment.v6;
    if (!routed && !joined->network->internal) {
      attachment.gateway = gateway;
      routed = true;
    }
    if (!routed6 && gateway6 && !joined->network->internal) {
      attachment.gateway6 = gateway6->address;
      routed6 = true;
    }
    wanted.attachments.push_back(std::move(attachment));
    // A container started by hand is alone there.
    if (kind_ != Kind::kService) continue;
    peers.push_back({*joined->subnet, gateway, true});
    if (gateway6) peers.push_back({*joined->subnet6, gateway6->address, true});
  }
  has_v6 = has_v6 || wanted.userspace_v6;
  if (!wanted.attachments.empty() || wanted.userspace) wanted.egress = EgressOf(service, std::move(peers), has_v6);
  return wanted;
}

bool Side::InUserspace(const spec::Service& service) const {
  return kind_ == Kind::kService && spec::IsUserspace(service.nat_backend) && !service.networks.empty();
}

std::optional<NetworkHelp> Side::Help(const spec::Service& service) const {
  const bool userspace = InUserspace(service);
  if (kind_ != Kind::kService || service.networks.empty() || (!userspace && service.egress_domains.empty()))
    return std::nullopt;
  NetworkHelp help;
  help.pin = directories_->NetnsPin(topology_->name, AddressOf(service));
  if (userspace) {
    help.backend = service.nat_backend;
    help.ports = service.port_forwards;
    std::ranges::sort(help.ports);
  }
  help.v6 = HasIpv6(service);
  if (service.egress_domains.empty()) return help;
  const auto resolvers = ResolversOf(service);
  help.resolvers.assign(resolvers.begin(), resolvers.end());
  help.domains = service.egress_domains;
  help.must_resolve = service.mode == spec::ServiceMode::kProduction;
  return help;
}

bool Side::HasIpv6(const spec::Service& service) const {
  return std::ranges::any_of(service.networks, [&](const auto& network) {
    const Joined* joined = JoinedTo(network);
    return joined != nullptr && joined->subnet6;
  });
}

NamesWanted Side::Names(const spec::Service& service) const {
  NamesWanted wanted;
  wanted.directory = directories_->ServiceDir(topology_->name, AddressOf(service));
  wanted.hostname = HostnameOf(service);
  wanted.resolv_conf = ResolvConf(service);
  std::size_t size = 0;
  for (const auto& network : service.networks) {
    if (const Joined* joined = JoinedTo(network)) size += joined->hosts.size();
  }
  constexpr std::size_t kOwnLines = 256;
  wanted.hosts.reserve(size + kOwnLines);
  wanted.hosts += "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n";
  // Its own name first: what gethostname(2) says has to resolve, also without any network.
  auto own = service.networks.empty() ? std::nullopt : AddressOf(service, service.networks.front());
  if (InUserspace(service)) own = kUserspaceAddress;
  const auto tell = [&](const std::string& address) {
    wanted.hosts.append(address).append("\t").append(wanted.hostname);
    if (wanted.hostname != service.name) wanted.hosts.append(" ").append(service.name);
    if (kind_ == Kind::kService) wanted.hosts.append(" ").append(topology_->name).append("-").append(service.name);
    wanted.hosts += "\n";
  };
  tell(own ? spec::Format(*own) : "127.0.1.1");
  const Joined* first = own && !InUserspace(service) ? JoinedTo(service.networks.front()) : nullptr;
  auto v6 = first != nullptr ? V6Of(*first, *own) : std::nullopt;
  if (InUserspace(service) && HasIpv6(service)) v6 = Ipv6At{kUserspaceAddress6, kUserspaceSubnet6.prefix};
  if (v6) tell(spec::Format(v6->address));
  // A container started by hand has no neighbours.
  if (kind_ == Kind::kContainer) return wanted;
  for (const auto& network : service.networks) {
    const Joined* joined = JoinedTo(network);
    if (joined == nullptr) continue;
    const auto own_lines = joined->told.find(service.name);
    const bool told = joined == first && own_lines != joined->told.end();
    const auto lines = told ? own_lines->second : Joined::Lines{};
    wanted.hosts.append(joined->hosts, 0, lines.begin).append(joined->hosts, lines.end);
  }
  return wanted;
}

ProcessWanted Side::Process(const spec::Service& service) const {
  const auto address = AddressOf(service);
  ProcessWanted wanted;
  wanted.service = std::shared_ptr<const spec::Service>(std::shared_ptr<const spec::Service>(), &service);
  wanted.directory = directories_->ServiceDir(topology_->name, address);
  if (HasCgroups()) wanted.cgroup = CgroupPath(topology_->name, address);
  if (service.network != spec::NetworkKind::kHost) wanted.netns = directories_->NetnsPin(topology_->name, address);
  for (const auto& mount : service.volumes) {
    const auto volume = topology_->volumes.find(mount.volume);
    if (volume != topology_->volumes.end()) wanted.volume_paths[mount.volume] = PathOf(volume->second);
  }
  constexpr std::string_view kVolumes = "volumes:";
  for (auto input = service.inputs.lower_bound(std::string(kVolumes));
       input != service.inputs.end() && input->first.starts_with(kVolumes); ++input) {
    wanted.files[input->first.substr(kVolumes.size())] = input->second.Hex();
  }
  wanted.network = Help(service);
  return wanted;
}

ProcessWanted Side::Process(const spec::Service& service, const spec::Fields& fields) const {
  ProcessWanted wanted = Process(service);
  const bool job = service.type == spec::ServiceType::kJob;
  const auto digests = DigestsOf(fields, job);
  Sha256 digest;
  digest.AddField(digests.workload.Hex());
  // A mount stays where it was made: another place for the volume needs another process.
  for (const auto& [volume, path] : wanted.volume_paths) digest.AddField(volume).AddField(path);
  wanted.digest = digest.Finish();
  wanted.policy_digest = digests.policy;
  // It is told: it looks from time to time at what they have denied, and does not where there are none.
  if (HasEgressRules(service))
    wanted.policy_digest = Sha256().AddField(digests.policy.Hex()).AddField("egress rules").Finish();
  return wanted;
}

bool Side::Has(const spec::Service& service, Part part) const {
  switch (part) {
    case Part::kCgroup:
      return HasCgroups();
    case Part::kNetns:
      return service.network != spec::NetworkKind::kHost;
    case Part::kNames:
    case Part::kProcess:
      return true;
    case Part::kBridge:
    case Part::kFirewall:
    case Part::kDirectory:
      return false;
  }
  return false;
}

std::optional<Wanted> Side::Of(const spec::Service& service, const spec::Fields& fields, Part part) const {
  if (!Has(service, part)) return std::nullopt;
  switch (part) {
    case Part::kCgroup:
      return Cgroup(service);
    case Part::kNetns:
      return Netns(service);
    case Part::kNames:
      return Names(service);
    case Part::kProcess:
      return Process(service, fields);
    case Part::kBridge:
    case Part::kFirewall:
    case Part::kDirectory:
      return std::nullopt;
  }
  return std::nullopt;
}

bool HasEgressRules(const spec::Service& service) {
  return !service.networks.empty() &&
         (service.egress_allow || !service.egress_domains.empty() || service.mode == spec::ServiceMode::kProduction);
}

Result<> CheckVolumes(const spec::Topology& topology) {
  for (const auto& [name, volume] : topology.volumes) {
    for (const auto& owner : {volume.owner.user, volume.owner.group}) {
      if (!NumericId(owner)) return Fail(Error::Invalid("volume." + name, "owner '" + owner + "' is not a number"));
    }
  }
  return {};
}

void OwnService(Wanted& wanted) {
  if (auto* process = std::get_if<ProcessWanted>(&wanted); process != nullptr && process->service) {
    process->service = std::make_shared<const spec::Service>(*process->service);
  }
}

}  // namespace nucleus::reconcile
