// The bridge of a container started by hand: one of its own, behind which it is alone, with a table of rules of its
// own. What a container whose nucleus was killed has left there is taken away by the next one that gets a bridge.
//
// Where the machine's network is not ours to change, an ordinary user's case, a program in user space stands for bridge
// and table: userspace.hpp.
#pragma once

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "actuators/netns/apply.hpp"
#include "actuators/netns/egress_names.hpp"
#include "actuators/netns/userspace.hpp"
#include "actuators/sys/machine_lock.hpp"
#include "reconcile/wanted.hpp"

namespace nucleus::cli {

class RunNetwork {
 public:
  // Chooses addresses that nothing on the machine is reached by, nor about to be, and holds them: nobody else chooses
  // these before MakeBridge() is through. The ports to be published are taken, or it is said by whom they are.
  static Result<std::unique_ptr<RunNetwork>> Reserve(const Directories& directories, const spec::Service& service);
  // The same addresses as if they were free, for who only wants to see.
  static Result<std::unique_ptr<RunNetwork>> Propose(const Directories& directories, const spec::Service& service);
  RunNetwork(const RunNetwork&) = delete;
  RunNetwork& operator=(const RunNetwork&) = delete;
  ~RunNetwork() { (void)Remove(); }

  [[nodiscard]] const reconcile::Leases& leases() const { return leases_; }
  [[nodiscard]] std::string_view backend() const { return userspace_ ? "userspace" : "kernel"; }

  // The bridge, as soon as the container's name is ours.
  Result<> MakeBridge(const reconcile::Side& side);
  // Its rules, and the inside of the container's namespace, in this order: the inside can send nothing
  // before its own rules hold. warn: of what it goes on without, and later, from other threads, of what has ended.
  Result<> Make(const reconcile::Side& side, const spec::Service& service, const sys::Fd& network,
                const ProgressSink& warn);
  // All of it; what is not there is none of it.
  // Where that fails, the container's directory is to stay: by it the next one finds what is left.
  Result<> Remove();

  // What containers whose nucleus was killed have left: bridges, rules that lead published ports nowhere, directories.
  // As far as the machine's lock is had in that time, which is waited for once; of so many, whichever they are. Not
  // while one of our own is at work: the lock that tells is no lock for who has it.
  static bool RemoveOrphans(const Directories& directories, const LockPatience& patience,
                            std::size_t most = std::numeric_limits<std::size_t>::max());
  // What one of them has left, and its workload where it runs on. kLocked: somebody is at work there, or the machine's
  // lock was not had.
  static Result<> RemoveOrphan(const Directories& directories, const std::string& name, const LockPatience& patience);

  // Of a run in the foreground, whose signals are held back: one that is to end it ends the wait.
  static LockPatience Patience();

 private:
  RunNetwork(Directories directories, std::string name)
      : directories_(std::move(directories)), name_(std::move(name)) {}
  static Result<std::unique_ptr<RunNetwork>> Choose(const Directories& directories, const spec::Service& service,
                                                    sys::AddressClaims* claims);

  Directories directories_;
  std::string name_;
  reconcile::Leases leases_;
  bool userspace_ = false;
  std::unique_ptr<netns::UserspaceNetwork> program_;
  std::unique_ptr<netns::EgressNames> names_;
  sys::HostLock choosing_;
  sys::AddressClaims claims_;
  std::vector<sys::Fd> ports_;         // sockets that hold the published ones
  bool made_ = false, ruled_ = false;  // so far: the bridge, and what comes with rules
};

}  // namespace nucleus::cli
