// What is the whole machine's, whatever runtime directory a nucleus of root's has: fcntl(2), "Open file description
// locks", on bytes of one file in /run. They die with their holder. Who has one is written beside it in the file, for
// the message to whoever waits.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/core/lock_holder.hpp"

namespace nucleus::sys {

// In this order, where one is taken while another is held.
enum class MachineLock : std::uint8_t {
  kContainers,  // from the choice of a container's subnet until its bridge is there
  kBridges,     // while a bridge is given its addresses
  kFirewall,    // while tables and settings of the machine are changed
};

// Of whoever wants it.
struct LockWait {
  std::string_view project;
  LockPatience patience = {};
};

// Held as long as this is there. To be given up by the thread that took it.
class HostLock {
 public:
  HostLock() = default;
  HostLock(HostLock&&) noexcept = default;
  HostLock& operator=(HostLock&& other) noexcept;
  ~HostLock();

 private:
  friend Result<HostLock> TakeMachineLock(MachineLock which, const LockWait& wait);
  friend Result<HostLock> TakeHostLock(MachineLock which, const std::string& path, const LockWait& wait);
  std::unique_lock<std::mutex> turn_;  // among the threads of this process
  Fd machine_, directory_;             // empty where there is nothing to share
};

// Waits for it: kLocked, with who has it; kInterrupted. Threads of this process wait for each other without an end, and
// what they waited counts when others have it. There is nothing to share for an ordinary user, whose network is its
// own, and where /run cannot be written (whoever is confined so has the lock of its directory).
Result<HostLock> TakeMachineLock(MachineLock which, const LockWait& wait);

// That, and the same of a file in a directory of whoever wants it, which is made: who cannot have the machine's shares
// the directory with who can.
Result<HostLock> TakeHostLock(MachineLock which, const std::string& path, const LockWait& wait);

// Addresses of this network namespace that bridges are about to have, from their choice until they are there: the same
// kind of lock, on as many bytes of the same file. Given back at its end.
class AddressClaims {
 public:
  // False: somebody else is about to have some of them. True too where there is nothing to share.
  Result<bool> Claim(std::uint32_t first, std::uint64_t count);

 private:
  Fd file_;
};

}  // namespace nucleus::sys
