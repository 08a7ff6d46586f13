// For the host tests of this folder: a place of their own in the kernel, and sockets on both sides of it.
#pragma once

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "actuators/netns/apply.hpp"
#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/netns/probe.hpp"
#include "actuators/sys/fd.hpp"

namespace nucleus::netns::testing {

// Runs all tests in new mount, network and pid namespaces, in which /run is an empty tmpfs: the machine's own network
// and mounts are not even visible. Without the privilege for it the tests skip themselves. Returns the exit status.
int RunIsolated(int argc, char** argv);
bool Isolated();

// A project on paper.
class Project {
 public:
  Project(Directories directories, std::string name) : directories_(std::move(directories)), name_(std::move(name)) {}
  Project& Network(const std::string& network, const std::string& subnet, bool internal = false);
  Project& Service(const std::string& service, const std::vector<std::pair<std::string, std::string>>& addresses);
  Project& Publish(const std::string& service, const std::string& forward);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::map<PartKey, Wanted>& parts() { return parts_; }
  [[nodiscard]] PartKey Key(const std::string& text) const { return PartKey::Parse(name_, text).value(); }
  template <class T>
  T& Get(const std::string& text) {
    return std::get<T>(parts_.at(Key(text)));
  }
  [[nodiscard]] std::string Pin(const std::string& service) const {
    return directories_.NetnsPin(name_, {Kind::kService, service});
  }

 private:
  FirewallWanted& Firewall();

  Directories directories_;
  std::string name_;
  std::map<PartKey, Wanted> parts_;
};

// A machine with the actuator and the prober.
struct Site {
  Directories directories{"/run/test/state", "/run/test/runtime"};
  NetnsActuator actuator{directories};
  NetnsProber links{directories};
  FirewallProber tables;
  NamesProber names{directories};

  Result<> Apply(Project& project);  // every part, in an order that works
  Result<> Undo(Project& project);
  // only_asked: as after a step, see ProbeRequest.
  Observations Probe(Project& project, bool only_asked = false);
  // "key: name: expected -> observed", one per difference; "" when all is as it should be.
  std::string Drift(Project& project, bool only_asked = false);
};

// A namespace that is not of nucleus, linked to the host: address of the host's end, own address.
Result<> MakeOutside(const std::string& pin, const std::string& host_address, const std::string& own_address);
Result<> RunInside(const std::string& pin, const std::function<Result<>()>& function);  // "": on the host

// Answers each connection, or datagram, with the address it came from.
class EchoServer {
 public:
  static Result<std::unique_ptr<EchoServer>> Start(const std::string& pin, const std::string& address, int port,
                                                   bool udp = false);
  ~EchoServer();

 private:
  explicit EchoServer(sys::Fd socket, bool udp);
  sys::Fd socket_;
  sys::Fd stop_;
  std::jthread thread_;
};

Result<> DropDefaultRoute(Netlink& netlink);  // of IPv4, as somebody would

// The answer of the server, "" where there was none in time. A link needs a moment to come up: tries again until then.
std::string Ask(const std::string& pin, const std::string& address, int port, int timeout_ms = 2000, bool udp = false);
// For what must not be reachable: one try that waits long enough for an answer on this machine.
std::string AskOnce(const std::string& pin, const std::string& address, int port, bool udp = false);

}  // namespace nucleus::netns::testing
