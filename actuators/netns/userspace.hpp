// The way out of a network namespace through a program in user space, for who has no power over the machine's network:
// slirp4netns(1) or pasta(1), which makes the link inside and speaks for it with sockets of its own.
//
// Only from where root installs programs, with an empty environment, in its own sandbox and under its own seccomp
// filter. It sees nothing of the machine's loopback, and answers no DNS of its own. It ends with this object, also
// where the process that has it is killed; when it dies by itself, or its link is taken away, it is started again, and
// where that cannot be done it is told, once until it can.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "actuators/netns/netlink.hpp"
#include "actuators/netns/userspace_start.hpp"
#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/types.hpp"
#include "state/parts/network_help.hpp"

namespace nucleus::netns {

class UserspaceNetwork {
 public:
  // Through when the link is up and the ports are published. backend: one of user space, or kAuto for any of them.
  // directory: the caller's alone, where it is told what to do. Errors: kNotFound where the program is not installed;
  // what it says itself; kConflict where a port cannot be had; kUnsupported where the program cannot have it at all.
  // v6: of the link, too. What may be sent is up to rules that are in force already.
  // tell: called by a thread of its own, when it is gone and cannot be started again, and, without an error, when it
  // could at last.
  using Tell = std::function<void(const Error*)>;
  static Result<std::unique_ptr<UserspaceNetwork>> Start(const sys::Fd& network, spec::NatBackend backend,
                                                         std::vector<spec::PortForward> ports, bool v6,
                                                         const std::string& directory, Tell tell);
  UserspaceNetwork(const UserspaceNetwork&) = delete;
  UserspaceNetwork& operator=(const UserspaceNetwork&) = delete;
  ~UserspaceNetwork();

  // These and no others are published from here on; sorted. Connections by a port that is no more are ended. What stays
  // is not interrupted, where the program can change it (slirp4netns); pasta is started anew, and so is one that cannot
  // have them. For one that somebody else has it waits so long. On error some may be missing; the same call again tries
  // again.
  Result<> Publish(std::vector<spec::PortForward> ports, std::chrono::milliseconds patience);
  // Those that are at this moment.
  std::vector<spec::PortForward> Published();

 private:
  UserspaceNetwork(UserspacePlace place, spec::NatBackend backend, std::vector<spec::PortForward> ports, Tell tell)
      : place_(std::move(place)), backend_(backend), ports_(std::move(ports)), tell_(std::move(tell)) {}
  Result<> Launch();
  Result<> StartProgram(const UserspaceProgram& program);
  Result<> FurnishLink();
  Result<bool> Withdraw();
  Result<> PublishAll();
  Result<> Watch();
  bool LostLink();
  void Keep();

  UserspacePlace place_;
  spec::NatBackend backend_;
  std::mutex mutex_;  // over what follows, once there is a keeper
  std::vector<spec::PortForward> ports_;
  spec::NatBackend running_ = spec::NatBackend::kAuto;  // which program it is
  UserspaceProcess program_;
  Tell tell_;
  sys::Fd events_;               // of links, inside
  std::optional<Netlink> look_;  // inside
  sys::Fd stop_;                 // tells the keeper: to end, or that there is another process
  bool end_ = false;
  std::thread keeper_;
};

// What slirp4netns answers to a command: the number of what was done, -1 where it has none; else why not. Pure.
Result<int> ReadAnswer(std::string_view json, std::string_view subject);

}  // namespace nucleus::netns
