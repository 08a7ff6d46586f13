#include "cli/run_network.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <system_error>

#include "actuators/cgroup/apply.hpp"
#include "actuators/netns/in_use.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/ports.hpp"
#include "actuators/netns/userspace_program.hpp"
#include "actuators/process/channel.hpp"
#include "actuators/process/stop.hpp"
#include "actuators/process/stop_signal.hpp"
#include "actuators/sys/cgroupfs.hpp"
#include "actuators/sys/file.hpp"
#include "actuators/sys/id_ranges.hpp"
#include "actuators/sys/machine_lock.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "reconcile/applied.hpp"
#include "spec/core/link_names.hpp"
#include "spec/core/names.hpp"
#include "spec/net.hpp"
#include "state/store.hpp"

namespace nucleus::cli {

namespace {

// Where subnets are chosen: 10.64.0.0 up to 10.79.255.255, clear of what topologies choose from (allocate.cpp). Each
// has room for the host and the container.
constexpr std::uint32_t kFirst = (10U << 24) | (64U << 16);
constexpr std::uint32_t kEnd = (10U << 24) | (80U << 16);
constexpr std::uint8_t kPrefix = 30;
constexpr std::uint32_t kSize = 1U << (32 - kPrefix);

// IPv6 of the same containers: a prefix of our own of what is nobody's (RFC 4193), and the IPv4 network at its end.
constexpr spec::Ipv6 kPrefix6{{0xfd, 0x6e, 0x75, 0x63, 0x6c, 0x65, 0x75, 0x73}};

spec::Ipv6Net CounterpartOf(const spec::Ipv4Net& subnet) {
  return {spec::Counterpart(subnet.base, {}, {kPrefix6, 96}), static_cast<std::uint8_t>(96 + subnet.prefix)};
}

// It has IPv6 where one of its options speaks of it.
bool WantsIpv6(const spec::Service& service) {
  const auto is_v6 = [](const auto& one) { return one.index() == 1; };
  return std::ranges::any_of(service.dns, is_v6) ||
         (service.egress_allow && std::ranges::any_of(*service.egress_allow, is_v6)) ||
         std::ranges::any_of(service.port_forwards,
                             [](const auto& port) { return port.host_ip && spec::IsV6(*port.host_ip); });
}

constexpr std::string_view kProject = kContainersProject;

PartKey BridgeKey(const std::string& name) {
  return {std::string(kProject), {Kind::kNetwork, name}, Part::kBridge};
}
PartKey NetnsKey(const std::string& name) {
  return {std::string(kProject), {Kind::kContainer, name}, Part::kNetns};
}
PartKey FirewallKey(const std::string& name) {
  return {TableProject(kProject, name), {Kind::kTopology, ""}, Part::kFirewall};
}

bool IsNotHad(const Error& lock) {
  return lock.code == ErrorCode::kLocked || lock.code == ErrorCode::kInterrupted;
}

// In the order in which one rests on the other; each whatever becomes of those before, but that a lock that was not had
// is not waited for twice. The first error.
Result<> Undo(netns::NetnsActuator& actuator, const std::string& name) {
  Result<> undone;
  for (const auto& key : {NetnsKey(name), FirewallKey(name), BridgeKey(name)}) {
    if (key.part == Part::kFirewall && !undone && IsNotHad(undone.error())) continue;
    auto one = actuator.Undo(key, nullptr, {}, {});
    if (undone && !one) undone = Fail(std::move(one).error());
  }
  return undone;
}

// Of a container in whose directory nobody is at work: who is holds the lock before there is a bridge, and until there
// is none. The directory goes last, so that it is found again.
Result<> TakeAway(const Directories& directories, const std::string& name, const LockPatience& patience) {
  const std::string directory = directories.ServiceDir(kProject, {Kind::kContainer, name});
  TRY(process::KillRest({std::string(kProject), {Kind::kContainer, name}, Part::kProcess}, directory));
  netns::NetnsActuator actuator(directories, patience);
  // An ordinary user has made none of it on the machine.
  if (sys::IsWhole(TRY(sys::OwnUids())) && ::geteuid() == 0) TRY(Undo(actuator, name));
  if (auto root = sys::FindCgroupRoot()) {
    cgroup::CgroupActuator group(directories, *std::move(root));
    (void)group.Undo({std::string(kProject), {Kind::kContainer, name}, Part::kCgroup}, nullptr, {}, {});
  }
  (void)sys::RemoveTree(directory + "/" + std::string(kNotifyDirectory));
  std::error_code ignored;
  for (std::filesystem::directory_iterator it(directory, ignored), end; !ignored && it != end; it.increment(ignored)) {
    if (!it->is_directory(ignored)) ::unlink(it->path().c_str());
  }
  sys::RemoveIfEmpty(directory, 2);
  return {};
}

// What topologies have, and keep while they are down.
Result<reconcile::Taken> TakenByTopologies(const Directories& directories) {
  auto store = TRY(state::Store::Open(directories, state::Store::Access::kRead));
  return reconcile::ToTaken(TRY(store.Leases()), "");
}

// The first that none of them meets, from there on.
Result<spec::Ipv4Net> FirstFree(std::uint64_t candidate, std::vector<spec::Ipv4Net> occupied) {
  std::ranges::sort(occupied);
  for (const auto& net : occupied) {
    const std::uint64_t end = std::uint64_t{net.base.value} + (std::uint64_t{1} << (32 - net.prefix));
    if (end <= candidate) continue;
    if (net.base.value >= candidate + kSize) break;
    candidate = (end + kSize - 1) / kSize * kSize;
  }
  if (candidate + kSize <= kEnd) return spec::Ipv4Net{{static_cast<std::uint32_t>(candidate)}, kPrefix};
  return Fail(Error::Of(ErrorCode::kConflict, "choose", "a subnet",
                        "every one from 10.64.0.0 to 10.79.255.255 is reached by this machine, or about to be")
                  .Hint("--nat-backend userspace does without"));
}

// claims: none where it is only looked at. Whoever had claimed what is free now has a bridge by the time it is ours.
Result<spec::Ipv4Net> ChooseSubnet(const Directories& directories, sys::AddressClaims* claims) {
  const auto taken = TRY(TakenByTopologies(directories));
  const auto from = [&](std::uint64_t first) -> Result<spec::Ipv4Net> {
    auto occupied = TRY(netns::AllRoutes());
    for (const auto& [subnet, owner] : taken.subnets) occupied.push_back(subnet);
    return FirstFree(first, std::move(occupied));
  };
  auto chosen = TRY(from(kFirst));
  while (claims != nullptr) {
    if (RunNetwork::Patience().Interrupted()) return Fail(ErrorCode::kInterrupted, "choose", "subnet", "interrupted");
    const bool is_ours = TRY(claims->Claim(chosen.base.value, kSize));
    const auto again = TRY(from(is_ours ? chosen.base.value : chosen.base.value + kSize));
    if (is_ours && again == chosen) break;
    chosen = again;
  }
  return chosen;
}

constexpr const char* kOther = "stop what holds it, or publish another port";

std::string OptionText(const spec::PortForward& port) {
  return "--publish " + spec::Format(port);
}

// A topology's published ports have no socket that would be in the way.
Result<> CheckTopologies(const Directories& directories, const std::vector<spec::PortForward>& ports) {
  const auto taken = TRY(TakenByTopologies(directories));
  for (const auto& [published, owner] : taken.ports) {
    for (const auto& port : ports) {
      if (!spec::Collide(port, published)) continue;
      return Fail(Error::Of(ErrorCode::kConflict, "", OptionText(port), owner + " publishes " + spec::Format(published))
                      .Hint(kOther));
    }
  }
  return {};
}

// Nobody else can have the port while the socket is there. Nothing arrives at it: packets are translated before.
Result<sys::Fd> HoldPort(const spec::PortForward& port, const spec::IpAddress& host) {
  const bool tcp = port.protocol == spec::Protocol::kTcp;
  const bool v6 = spec::IsV6(host);
  sys::Fd socket(::socket(v6 ? AF_INET6 : AF_INET, (tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0));
  if (!socket) return FailSys("socket", OptionText(port));
  const int on = 1;
  if (tcp) ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);  // connections that are at their end
  if (v6) ::setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  sockaddr_storage address{};
  socklen_t size = 0;
  if (const auto* ip6 = std::get_if<spec::Ipv6>(&host)) {
    auto& to = reinterpret_cast<sockaddr_in6&>(address);
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port.host_port);
    std::ranges::copy(ip6->bytes, to.sin6_addr.s6_addr);
    size = sizeof to;
  } else {
    auto& to = reinterpret_cast<sockaddr_in&>(address);
    to.sin_family = AF_INET;
    to.sin_port = htons(port.host_port);
    to.sin_addr.s_addr = htonl(std::get<spec::Ipv4>(host).value);
    size = sizeof to;
  }
  const bool bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0;
  if (bound && (!tcp || ::listen(socket.get(), 0) == 0)) return socket;
  const int err = errno;
  Error error = Error::Sys("take", OptionText(port), err);
  if (err == EACCES)
    return Fail(std::move(error).Hint("an ordinary user's begin at net.ipv4.ip_unprivileged_port_start"));
  if (err == EADDRNOTAVAIL) return Fail(std::move(error).Hint("it is no address of this machine"));
  if (err != EADDRINUSE) return Fail(std::move(error));
  const auto holders = netns::PortHolders({port});
  return Fail(Error::Of(ErrorCode::kConflict, "", OptionText(port),
                        holders && !holders->empty() ? holders->front().Text() : "something else has the port")
                  .Hint(kOther));
}

bool InUserspace(const spec::Service& service) {
  return spec::IsUserspace(service.nat_backend) || !netns::OwnsNetwork();
}

}  // namespace

Result<std::unique_ptr<RunNetwork>> RunNetwork::Propose(const Directories& directories, const spec::Service& service) {
  return Choose(directories, service, nullptr);
}

Result<std::unique_ptr<RunNetwork>> RunNetwork::Choose(const Directories& directories, const spec::Service& service,
                                                       sys::AddressClaims* claims) {
  const bool userspace = InUserspace(service);
  if (userspace && service.nat_backend == spec::NatBackend::kKernel) {
    return Fail(Error::Of(ErrorCode::kPermission, "", "--nat-backend kernel", "the machine's network is not yours")
                    .Hint("userspace, which auto chooses by itself, does without it"));
  }
  std::unique_ptr<RunNetwork> network(new RunNetwork(directories, service.name));
  network->userspace_ = userspace;
  if (userspace) (void)TRY(netns::FindUserspaceProgram(service.nat_backend, service.port_forwards));
  const auto subnet = userspace ? kUserspaceSubnet : TRY(ChooseSubnet(directories, claims));
  if (WantsIpv6(service)) {
    network->leases_.subnets6[reconcile::SubnetKey(service.name)] =
        userspace ? kUserspaceSubnet6 : CounterpartOf(subnet);
  }
  network->leases_.subnets[reconcile::SubnetKey(service.name)] = subnet;
  network->leases_.addresses[reconcile::AddressKey(service.name, service.name)] =
      userspace ? kUserspaceAddress : spec::Ipv4{subnet.base.value + 2};
  return network;
}

Result<std::unique_ptr<RunNetwork>> RunNetwork::Reserve(const Directories& directories, const spec::Service& service) {
  // The ports first: a topology that is applied from here on finds them taken.
  std::vector<sys::Fd> ports;
  for (const auto& port : service.port_forwards) {
    ports.push_back(TRY(HoldPort(port, port.host_ip.value_or(spec::IpAddress()))));
    if (!port.host_ip && WantsIpv6(service)) ports.push_back(TRY(HoldPort(port, spec::Ipv6{})));
  }
  if (!service.port_forwards.empty()) TRY(CheckTopologies(directories, service.port_forwards));
  // The program binds them itself.
  if (InUserspace(service)) return Propose(directories, service);
  const bool tidy = RemoveOrphans(directories, Patience());
  if (!tidy && Patience().Interrupted())
    return Fail(ErrorCode::kInterrupted, "remove", "what killed containers have left", "interrupted");
  auto lock = TRY(sys::TakeHostLock(sys::MachineLock::kContainers, directories.HostLock(),
                                    {.project = service.name, .patience = Patience()}));
  sys::AddressClaims claims;
  auto network = TRY(Choose(directories, service, &claims));
  network->choosing_ = std::move(lock);
  network->ruled_ = !tidy;  // one of this name may have left rules
  network->claims_ = std::move(claims);
  network->ports_ = std::move(ports);
  return network;
}

LockPatience RunNetwork::Patience() {
  return {.is_interrupted = [] { return sys::PendingEnd(true, process::StopSignal()) != 0; }};
}

bool RunNetwork::RemoveOrphans(const Directories& directories, const LockPatience& patience, std::size_t most) {
  std::error_code ignored;
  std::vector<std::string> names;
  const std::filesystem::path containers(directories.ProjectDir(kProject));
  for (std::filesystem::directory_iterator it(containers, ignored), end; !ignored && it != end; it.increment(ignored)) {
    const auto address = Address::Parse(it->path().filename().string());
    if (address && address->kind == Kind::kContainer) names.push_back(address->name);
  }
  if (names.size() > most) {
    std::ranges::shuffle(names, std::minstd_rand(std::random_device{}()));
    names.resize(most);
  }
  for (const auto& name : names) {
    const auto lock = process::TakeCleanersLock(directories.ServiceDir(kProject, {Kind::kContainer, name}));
    if (!lock) continue;
    if (const auto gone = TakeAway(directories, name, patience); !gone && IsNotHad(gone.error())) return false;
  }
  return true;
}

Result<> RunNetwork::RemoveOrphan(const Directories& directories, const std::string& name,
                                  const LockPatience& patience) {
  const auto lock = TRY(process::TakeCleanersLockIfThere(directories.ServiceDir(kProject, {Kind::kContainer, name})));
  return TakeAway(directories, name, patience);
}

Result<> RunNetwork::MakeBridge(const reconcile::Side& side) {
  if (userspace_) return {};
  made_ = true;
  netns::NetnsActuator actuator(directories_, Patience());
  TRY(actuator.Apply(BridgeKey(name_), side.Bridge(side.topology().networks.at(name_)), {}));
  choosing_ = {};  // the kernel says from here on that it is taken
  claims_ = {};
  return {};
}

Result<> RunNetwork::Make(const reconcile::Side& side, const spec::Service& service, const sys::Fd& network,
                          const ProgressSink& warn) {
  auto wanted = side.Netns(service);
  wanted.userspace_v6 = userspace_ && WantsIpv6(service);
  bool restricted = wanted.egress.has_value();
  const auto lacks = [&](std::string_view why) {
    restricted = false;
    warn(why);
  };
  netns::NetnsActuator actuator(directories_, Patience());
  if (userspace_) {
    TRY(actuator.Restrict(network, wanted, lacks));
    const auto directory = directories_.ServiceDir(kProject, NetnsKey(name_).address);
    program_ = TRY(netns::UserspaceNetwork::Start(
        network, service.nat_backend, service.port_forwards, wanted.userspace_v6, directory,
        [warn](const Error* error) {
          if (error != nullptr)
            warn("the network's program has ended, and could not be started again: " + error->Message());
        }));
  } else {
    auto firewall = *side.Firewall();
    firewall.table = FirewallTable(TableProject(kProject, name_));
    firewall.comment = FirewallComment(TableProject(kProject, name_));
    firewall.ports.clear();  // it is alone there: whose address could it take?
    for (auto& forward : firewall.forwards) forward.service = NetnsKey(name_).address.Text();
    const auto applied = actuator.Apply(FirewallKey(name_), firewall, {});
    ruled_ = ruled_ || applied || !IsNotHad(applied.error());
    TRY(applied);
    TRY(actuator.Furnish(network, wanted, lacks));
  }
  if (!restricted || wanted.egress->domains.empty()) return {};
  names_ = TRY(netns::EgressNames::Start(network, *wanted.egress, [warn](const Error& error) {
    warn("--egress-domain: " + error.Message() + (error.hint.empty() ? "" : "; " + error.hint));
  }));
  return {};
}

Result<> RunNetwork::Remove() {
  names_.reset();
  program_.reset();
  if (!made_) return {};
  made_ = false;
  netns::NetnsActuator actuator(directories_);
  return ruled_ ? Undo(actuator, name_) : actuator.Undo(BridgeKey(name_), nullptr, {}, {});
}

}  // namespace nucleus::cli
