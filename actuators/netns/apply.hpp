// Makes and removes bridges, pinned network namespaces with their veths, firewall tables and name files.
//
// By netlink and system calls only, in the network namespace of the process; needs CAP_NET_ADMIN and CAP_SYS_ADMIN.
// Apply changes what differs and leaves the rest alone, so it repairs under a running workload. Different keys may be
// worked on from several threads; what is host-wide (the table of nftables, net.ipv4.ip_forward) is serialised
// by the machine's lock and that of the directory, waited for as `patience` says: kLocked, kInterrupted. One actuator
// serves one command: it lists the machine's links once.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "actuators/sys/machine_lock.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"

namespace nucleus::netns {

class AliasIndex;

class NetnsActuator : public Actuator {
 public:
  explicit NetnsActuator(Directories directories, LockPatience patience = {});
  [[nodiscard]] std::vector<Part> Parts() const override;
  Result<> Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) override;
  Result<> Undo(const PartKey& key, const Wanted* wanted, const UndoOptions& options,
                const ProgressSink& progress) override;
  // A network namespace that is pinned nowhere, where wanted.pin is left aside. It is new: nothing is taken away.
  // warn: called where egress rules that may lack cannot be had; without them, or where they may not, it is the error.
  Result<> Furnish(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn);
  // Only its settings and its egress rules, for a link that somebody else makes.
  Result<> Restrict(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn);

 private:
  [[nodiscard]] Result<> ForgetGone(const PartKey& key) const;
  [[nodiscard]] sys::LockWait WaitFor(const PartKey& key) const { return {key.project, patience_}; }

  Directories directories_;
  LockPatience patience_;
  std::shared_ptr<AliasIndex> aliases_;
};

}  // namespace nucleus::netns
