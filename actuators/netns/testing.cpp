#include "actuators/netns/testing.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>

#include "actuators/netns/links.hpp"
#include "actuators/sys/file.hpp"
#include "spec/net.hpp"

#ifdef NUCLEUS_SANITIZED
// LeakSanitizer stops the process from a clone that finds it by its process id, and gives up where tests have entered
// namespaces on threads of their own.
extern "C" const char* __asan_default_options() {  // NOLINT(bugprone-reserved-identifier): its name
  return "detect_leaks=0";
}
#endif

namespace nucleus::netns::testing {

namespace {

constexpr const char* kIsolated = "NUCLEUS_TEST_ISOLATED";

bool Isolate() {
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return false;
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) return false;
  if (::mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, nullptr) != 0) return false;
  auto netlink = Netlink::Open(NETLINK_ROUTE);
  LinkChange up;
  up.up = true;
  return netlink && ChangeLink(*netlink, 1, "lo", up);
}

sockaddr_in SocketAddress(const std::string& address, int port) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, address.c_str(), &to.sin_addr);
  return to;
}

bool WaitFor(int fd, short events, int timeout_ms) {
  pollfd poll{fd, events, 0};
  return ::poll(&poll, 1, timeout_ms) == 1;
}

std::string AddressText(const sockaddr_in& from) {
  return spec::Format(spec::Ipv4{ntohl(from.sin_addr.s_addr)});
}

std::string Exchange(int fd, const std::string& address, int port, int timeout_ms, bool udp) {
  const sockaddr_in to = SocketAddress(address, port);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) return {};
  if (!WaitFor(fd, POLLOUT, timeout_ms)) return {};
  if (udp && ::send(fd, "?", 1, MSG_NOSIGNAL) != 1) return {};
  if (!WaitFor(fd, POLLIN, timeout_ms)) return {};
  std::array<char, 64> answer{};
  const ssize_t size = ::recv(fd, answer.data(), answer.size(), 0);
  return size <= 0 ? std::string() : std::string(answer.data(), static_cast<std::size_t>(size));
}

std::string TryOnce(const std::string& pin, const std::string& address, int port, int timeout_ms, bool udp) {
  std::string answer;
  (void)RunInside(pin, [&]() -> Result<> {
    const sys::Fd fd(::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    answer = Exchange(fd.get(), address, port, timeout_ms, udp);
    return {};
  });
  return answer;
}

}  // namespace

int RunIsolated(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  if (::unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID) != 0) return RUN_ALL_TESTS();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (Isolate()) ::setenv(kIsolated, "1", 1);
    // Not _exit: sanitizers look for leaks on the way out.
    std::exit(RUN_ALL_TESTS());
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool Isolated() {
  return std::getenv(kIsolated) != nullptr;
}

FirewallWanted& Project::Firewall() {
  const PartKey key{name_, {Kind::kTopology, ""}, Part::kFirewall};
  if (!parts_.contains(key)) {
    FirewallWanted wanted;
    wanted.table = FirewallTable(name_);
    wanted.comment = FirewallComment(name_);
    parts_[key] = wanted;
  }
  return std::get<FirewallWanted>(parts_[key]);
}

Project& Project::Network(const std::string& network, const std::string& subnet, bool internal) {
  const auto net = spec::ParseIpv4Net(subnet).value();
  const Address address{Kind::kNetwork, network};
  BridgeWanted bridge;
  bridge.link = BridgeLink(name_, network);
  bridge.alias = LinkAlias(name_, address);
  bridge.gateway = {net.base.value + 1};
  bridge.prefix = net.prefix;
  parts_[{name_, address, Part::kBridge}] = bridge;
  Firewall().networks.push_back({network, bridge.link, net, internal});
  return *this;
}

Project& Project::Service(const std::string& service,
                          const std::vector<std::pair<std::string, std::string>>& addresses) {
  const Address address{Kind::kService, service};
  NetnsWanted netns;
  netns.pin = directories_.NetnsPin(name_, address);
  netns.alias = LinkAlias(name_, address);
  bool routed = false;
  for (const auto& [network, text] : addresses) {
    NetnsWanted::Attachment attachment;
    attachment.network = network;
    attachment.bridge = BridgeLink(name_, network);
    attachment.host_link = VethLink(name_, address, network);
    attachment.link = "eth" + std::to_string(netns.attachments.size());
    attachment.address = spec::ParseIpv4(text).value();
    for (const auto& net : Firewall().networks) {
      if (net.network != network) continue;
      attachment.prefix = net.subnet.prefix;
      if (net.internal || routed) continue;
      attachment.gateway = spec::Ipv4{net.subnet.base.value + 1};
      routed = true;
    }
    Firewall().ports.push_back({attachment.host_link, attachment.address});
    netns.attachments.push_back(attachment);
  }
  parts_[{name_, address, Part::kNetns}] = netns;
  return *this;
}

Project& Project::Publish(const std::string& service, const std::string& forward) {
  const auto& to = Get<NetnsWanted>("service." + service + "/netns").attachments.front();
  Firewall().forwards.push_back({service, spec::ParsePortForward(forward).value(), to.address, to.bridge});
  return *this;
}

Result<> Site::Apply(Project& project) {
  for (const Part part : {Part::kBridge, Part::kFirewall, Part::kNetns, Part::kNames}) {
    for (const auto& [key, wanted] : project.parts()) {
      if (key.part == part) TRY_IN(key.Text(), actuator.Apply(key, wanted, {}));
    }
  }
  return {};
}

Result<> Site::Undo(Project& project) {
  for (const Part part : {Part::kNames, Part::kNetns, Part::kFirewall, Part::kBridge}) {
    for (const auto& [key, wanted] : project.parts()) {
      if (key.part == part) TRY_IN(key.Text(), actuator.Undo(key, nullptr, {}, {}));
    }
  }
  return {};
}

Observations Site::Probe(Project& project, bool only_asked) {
  Observations all;
  for (Prober* prober : {static_cast<Prober*>(&links), static_cast<Prober*>(&tables), static_cast<Prober*>(&names)}) {
    auto observations = prober->Probe({project.name(), project.parts(), only_asked});
    EXPECT_TRUE(observations) << observations.error().Message();
    if (observations) all.merge(*observations);
  }
  return all;
}

std::string Site::Drift(Project& project, bool only_asked) {
  std::string text;
  auto observed = Probe(project, only_asked);
  for (const auto& [key, wanted] : project.parts()) {
    const Observation& now = observed[key];
    if (now.presence == Presence::kAbsent) text += key.Text() + ": absent\n";
    if (now.presence == Presence::kUnreadable) text += key.Text() + ": unreadable: " + now.detail + "\n";
    if (now.presence != Presence::kPresent) continue;
    const Facts expected = ExpectedFacts(wanted);
    Facts all = expected;
    all.merge(now.facts);
    const auto value = [](const Facts& facts, const std::string& name) {
      const auto it = facts.find(name);
      return it == facts.end() ? std::string("(none)") : it->second;
    };
    for (const auto& [name, unused] : all) {
      const auto a = value(expected, name);
      const auto b = value(now.facts, name);
      if (a != b) text += key.Text() + ": " + name + ": " + a + " -> " + b + "\n";
    }
  }
  for (const auto& [key, now] : observed) {
    if (!project.parts().contains(key)) text += key.Text() + ": leftover\n";
  }
  return text;
}

Result<> RunInside(const std::string& pin, const std::function<Result<>()>& function) {
  if (pin.empty()) return OnThread(function);
  const auto opened = TRY(OpenPin(pin));
  return InNamespace(opened.fd, pin, function);
}

Result<> MakeOutside(const std::string& pin, const std::string& host_address, const std::string& own_address) {
  TRY(sys::MakeDirectories(pin.substr(0, pin.rfind('/')), 0700));
  TRY(sys::Open(pin, O_RDONLY | O_CREAT | O_CLOEXEC, 0400));
  TRY(OnThread([&]() -> Result<> {
    if (::unshare(CLONE_NEWNET) != 0) return FailSys("unshare", pin);
    if (::mount("/proc/thread-self/ns/net", pin.c_str(), nullptr, MS_BIND, nullptr) != 0) return FailSys("mount", pin);
    return {};
  }));
  const auto opened = TRY(OpenPin(pin));
  auto host = TRY(Netlink::Open(NETLINK_ROUTE));
  VethEnds ends;
  ends.host_name = "outer" + std::to_string(opened.inode % 10000);
  ends.inside_name = "eth0";
  ends.inside_mac = MacOf(spec::ParseIpv4(own_address).value());
  ends.inside_namespace = opened.fd.get();
  ends.mtu = 1500;
  TRY(CreateVeth(host, ends));
  const auto furnish = [](Netlink& netlink, const std::string& name, const std::string& address) -> Result<> {
    const auto link = TRY(GetLink(netlink, name));
    LinkChange up;
    up.up = true;
    TRY(SetAddresses(netlink, link->index, name, spec::ParseIpv4(address).value(), 24));
    return ChangeLink(netlink, link->index, name, up);
  };
  TRY(furnish(host, ends.host_name, host_address));
  return InNamespace(opened.fd, pin, [&]() -> Result<> {
    auto inside = TRY(Netlink::Open(NETLINK_ROUTE));
    LinkChange up;
    up.up = true;
    TRY(ChangeLink(inside, 1, "lo", up));
    return furnish(inside, "eth0", own_address);
  });
}

Result<std::unique_ptr<EchoServer>> EchoServer::Start(const std::string& pin, const std::string& address, int port,
                                                      bool udp) {
  sys::Fd fd;
  TRY(RunInside(pin, [&]() -> Result<> {
    fd.reset(::socket(AF_INET, (udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0));
    const int on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    const sockaddr_in at = SocketAddress(address, port);
    if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) return FailSys("bind", address);
    if (!udp && ::listen(fd.get(), 16) != 0) return FailSys("listen", address);
    return {};
  }));
  return std::unique_ptr<EchoServer>(new EchoServer(std::move(fd), udp));
}

EchoServer::EchoServer(sys::Fd socket, bool udp) : socket_(std::move(socket)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::jthread([this, udp] {
    while (true) {
      std::array<pollfd, 2> polls{pollfd{socket_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
      if (::poll(polls.data(), polls.size(), -1) < 0) continue;
      if (polls[1].revents != 0) return;
      sockaddr_in from{};
      socklen_t size = sizeof from;
      if (udp) {
        std::array<char, 64> question{};
        if (::recvfrom(socket_.get(), question.data(), question.size(), 0, reinterpret_cast<sockaddr*>(&from), &size) <
            0)
          continue;
        const auto text = AddressText(from);
        ::sendto(socket_.get(), text.data(), text.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
      } else {
        const sys::Fd peer(::accept4(socket_.get(), reinterpret_cast<sockaddr*>(&from), &size, SOCK_CLOEXEC));
        const auto text = AddressText(from);
        if (peer) ::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL);
      }
    }
  });
}

EchoServer::~EchoServer() {
  const std::uint64_t one = 1;
  (void)!::write(stop_.get(), &one, sizeof one);
}

std::string Ask(const std::string& pin, const std::string& address, int port, int timeout_ms, bool udp) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  do {
    if (auto answer = TryOnce(pin, address, port, 250, udp); !answer.empty()) return answer;
  } while (std::chrono::steady_clock::now() < until);
  return {};
}

std::string AskOnce(const std::string& pin, const std::string& address, int port, bool udp) {
  return TryOnce(pin, address, port, 250, udp);
}

Result<> DropDefaultRoute(Netlink& netlink) {
  (void)TRY(DropRoutes(netlink, std::nullopt, {}, AF_INET));
  return {};
}

}  // namespace nucleus::netns::testing
