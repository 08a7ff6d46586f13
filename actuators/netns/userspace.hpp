// The way out of a network namespace through a program in user space, for who has no power over the machine's network:
// slirp4netns(1), which makes the link inside and speaks for it with sockets of its own.
//
// Only from where root installs programs, with an empty environment, in its own sandbox and under its own seccomp
// filter. It sees nothing of the machine's loopback, and answers no DNS of its own. It ends with this object, also
// where the process that has it is killed; when it dies by itself it is started again, and where that cannot be done it
// is told, once until it can.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

// What it makes inside: slirp4netns(1), "FILTERING CONNECTIONS".
inline constexpr spec::Ipv4Net kUserspaceSubnet{{10U << 24 | 2U << 8}, 24};
inline constexpr spec::Ipv4 kUserspaceAddress{10U << 24 | 2U << 8 | 100};

class UserspaceNetwork {
 public:
  // Through when the link is up and the ports are published. directory: the caller's alone, where
  // it is told what to do. Errors: kNotFound where the program is not installed; what it says itself; kConflict where a
  // port cannot be had.
  // tell: called by a thread of its own.
  using Tell = std::function<void(const Error&)>;
  static Result<std::unique_ptr<UserspaceNetwork>> Start(const sys::Fd& network, std::vector<spec::PortForward> ports,
                                                         const std::string& directory, Tell tell);
  UserspaceNetwork(const UserspaceNetwork&) = delete;
  UserspaceNetwork& operator=(const UserspaceNetwork&) = delete;
  ~UserspaceNetwork();

 private:
  UserspaceNetwork(sys::Fd network, std::vector<spec::PortForward> ports, sys::Fd directory, Tell tell)
      : network_(std::move(network)),
        ports_(std::move(ports)),
        directory_(std::move(directory)),
        tell_(std::move(tell)) {}
  Result<> Launch();
  void Keep();
  void Reap();

  sys::Fd network_;
  std::vector<spec::PortForward> ports_;
  sys::Fd directory_;
  Tell tell_;
  pid_t pid_ = 0;    // of the program; the keeper's once that is there
  sys::Fd process_;  // its pidfd
  sys::Fd exit_;     // it ends when this is closed
  sys::Fd stop_;     // tells the keeper
  std::thread keeper_;
};

// What the program answers to a command: nothing where it was done, else why not. Pure.
Result<> ReadAnswer(std::string_view json, std::string_view subject);

}  // namespace nucleus::netns
