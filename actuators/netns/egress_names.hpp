// The addresses that egress rules let through by name, in the set of the rules: state/parts/egress_model.hpp.
//
// Looked up inside the namespace, through the name servers that the rules let through. Elements go by themselves when
// they have had their time, so whoever keeps them may die and nothing stays open for it. Where the rules are made anew,
// whoever does it, what is known is put into their set at once.
#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "actuators/netns/name_book.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/sys/fd.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

class EgressNames {
 public:
  // Through when every name was looked up once. tell: of a name that stands for nothing; where each has to stand for
  // something at the start it is the error instead. Called by a thread of its own later, which looks on until the end.
  // A signal that asks for an end, and is held back, ends the first round too: kInterrupted.
  using Tell = std::function<void(const Error&)>;
  static Result<std::unique_ptr<EgressNames>> Start(const sys::Fd& network, const EgressWanted& wanted, Tell tell);
  EgressNames(const EgressNames&) = delete;
  EgressNames& operator=(const EgressNames&) = delete;
  ~EgressNames();

 private:
  EgressNames(sys::Fd network, Netlink machine, const EgressWanted& wanted, Tell tell)
      : network_(std::move(network)),
        machine_(std::move(machine)),
        resolvers_(wanted.resolvers),
        v6_(wanted.v6),
        book_(wanted.domains),
        tell_(std::move(tell)) {}
  // On a thread in the namespace: those that are due, and then the set. stop: dns.hpp.
  Result<> Refresh(const sys::Fd& stop, const Tell& tell);
  Result<> Put();
  void Keep();

  sys::Fd network_;
  Netlink machine_;  // a socket outside, which tells the machine's own addresses
  std::vector<spec::IpAddress> resolvers_;
  bool v6_;
  NameBook book_;
  Tell tell_;
  sys::Fd stop_;
  std::thread keeper_;
};

}  // namespace nucleus::netns
