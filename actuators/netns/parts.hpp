// The four parts behind NetnsActuator, one source each. Each Apply is idempotent and repairs; each Undo of the absent
// succeeds. Internal to actuators/netns.
#pragma once

#include <optional>
#include <string>

#include "actuators/netns/links.hpp"
#include "actuators/sys/fd.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

Result<> ApplyBridge(const BridgeWanted& wanted, AliasIndex& aliases);
Result<> UndoBridge(const std::string& link, const std::string& alias, AliasIndex& aliases);

// warn: NetnsActuator::Furnish().
Result<> ApplyNetns(const NetnsWanted& wanted, AliasIndex& aliases, const ProgressSink& warn);
// One that is there already, by its descriptor. warn: apply.hpp.
Result<> FurnishNetns(const sys::Fd& network, const NetnsWanted& wanted, AliasIndex& aliases, const ProgressSink& warn);
Result<> RestrictNetns(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn);
Result<> UndoNetns(const std::string& pin, const std::string& alias, AliasIndex& aliases);

// Held while what is everybody's is changed: the machine's, and that of the directory.
struct HostLock {
  sys::Fd machine, directory;
};
Result<HostLock> LockHost(const std::string& path);
Result<> ApplyFirewall(const FirewallWanted& wanted, const Directories& directories);
Result<> UndoFirewall(const std::string& table, const Directories& directories);

Result<> ApplyNames(const NamesWanted& wanted);
Result<> UndoNames(const std::string& directory);

}  // namespace nucleus::netns
