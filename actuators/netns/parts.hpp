// The four parts behind NetnsActuator, one source each. Each Apply is idempotent and repairs; each Undo of the absent
// succeeds. Internal to actuators/netns.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "actuators/netns/links.hpp"
#include "actuators/sys/fd.hpp"
#include "actuators/sys/machine_lock.hpp"
#include "spec/core/names.hpp"
#include "state/parts/actuator.hpp"
#include "state/parts/parts.hpp"

namespace nucleus::netns {

Result<> ApplyBridge(const BridgeWanted& wanted, AliasIndex& aliases, const sys::LockWait& wait);
Result<> UndoBridge(const std::string& link, const std::string& alias, AliasIndex& aliases);

// How many packets rules that are taken away have denied in the end.
using DeniedSink = std::function<void(std::uint64_t packets)>;

// warn: NetnsActuator::Furnish().
Result<> ApplyNetns(const NetnsWanted& wanted, AliasIndex& aliases, const ProgressSink& warn, const DeniedSink& denied);
// One that is there already, by its descriptor. warn: apply.hpp.
Result<> FurnishNetns(const sys::Fd& network, const NetnsWanted& wanted, AliasIndex& aliases, const ProgressSink& warn);
Result<> RestrictNetns(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn);
// Takes away what routing.hpp tells of, and gives back what is missing; in the namespace of the thread.
Result<> RepairRouting();
Result<> UndoNetns(const std::string& pin, const std::string& alias, AliasIndex& aliases);

Result<> ApplyFirewall(const FirewallWanted& wanted, const Directories& directories, const sys::LockWait& wait);
Result<> UndoFirewall(const std::string& table, const Directories& directories, const sys::LockWait& wait);

Result<> ApplyNames(const NamesWanted& wanted);
Result<> UndoNames(const std::string& directory);

}  // namespace nucleus::netns
