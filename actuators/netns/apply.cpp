#include "actuators/netns/apply.hpp"

#include <unistd.h>

#include "actuators/netns/leaving.hpp"
#include "actuators/netns/parts.hpp"
#include "actuators/sys/file.hpp"

namespace nucleus::netns {

namespace {

template <class T>
Result<const T*> As(const PartKey& key, const Wanted& wanted) {
  if (const T* part = std::get_if<T>(&wanted)) return part;
  return Fail(ErrorCode::kInternal, "apply", key.Text(), "wanted is of another part");
}

Error NotOurs(std::string_view operation, const PartKey& key) {
  return Error::Of(ErrorCode::kInternal, operation, key.Text(), "not a part of the network actuator");
}

}  // namespace

NetnsActuator::NetnsActuator(Directories directories, LockPatience patience)
    : directories_(std::move(directories)), patience_(patience), aliases_(std::make_shared<AliasIndex>()) {}

std::vector<Part> NetnsActuator::Parts() const {
  return {Part::kBridge, Part::kFirewall, Part::kNetns, Part::kNames};
}

namespace {

// For the supervisor, where there is one; with what it has not heard of yet.
void LeaveDenied(const std::string& directory, std::uint64_t packets) {
  if (packets == 0 || ::access((directory + "/" + std::string(kStatusFile)).c_str(), F_OK) != 0) return;
  const std::string path = directory + "/" + std::string(kDeniedFile);
  const auto before = sys::ReadFileIfThere(path);
  if (before && *before) packets += ParseUnsigned(**before).value_or(0);
  (void)sys::ReplaceFile(path, std::to_string(packets), 0600);
}

ProgressSink AsWarning(const ProgressSink& progress) {
  if (!progress) return nullptr;
  return [&progress](std::string_view text) { progress(std::string(kWarningOfProgress).append(text)); };
}

}  // namespace

Result<> NetnsActuator::Apply(const PartKey& key, const Wanted& wanted, const ProgressSink& progress) {
  switch (key.part) {
    case Part::kBridge:
      return ApplyBridge(*TRY(As<BridgeWanted>(key, wanted)), *aliases_, WaitFor(key));
    case Part::kNetns: {
      const auto* netns = TRY(As<NetnsWanted>(key, wanted));
      const std::string directory = directories_.ServiceDir(key.project, key.address);
      const auto denied = [&](std::uint64_t packets) { LeaveDenied(directory, packets); };
      TRY(ApplyNetns(*netns, *aliases_, AsWarning(progress), denied));
      return ForgetGone(key);
    }
    case Part::kFirewall:
      return ApplyFirewall(*TRY(As<FirewallWanted>(key, wanted)), directories_, WaitFor(key));
    case Part::kNames:
      return ApplyNames(*TRY(As<NamesWanted>(key, wanted)));
    case Part::kDirectory:
    case Part::kCgroup:
    case Part::kProcess:
      break;
  }
  return Fail(NotOurs("apply", key));
}

// What is said of links that are gone with the part.
Result<> NetnsActuator::ForgetGone(const PartKey& key) const {
  if (!TRY(HasLeavingPorts(FirewallTable(key.project)))) return {};
  const auto lock = TRY(sys::TakeHostLock(sys::MachineLock::kFirewall, directories_.HostLock(), WaitFor(key)));
  return ForgetGonePorts(FirewallTable(key.project));
}

Result<> NetnsActuator::Furnish(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn) {
  return FurnishNetns(network, wanted, *aliases_, warn);
}

Result<> NetnsActuator::Restrict(const sys::Fd& network, const NetnsWanted& wanted, const ProgressSink& warn) {
  return RestrictNetns(network, wanted, warn);
}

Result<> NetnsActuator::Undo(const PartKey& key, const Wanted* wanted, const UndoOptions&, const ProgressSink&) {
  const std::string alias = LinkAlias(key.project, key.address);
  switch (key.part) {
    case Part::kBridge:
      return UndoBridge(BridgeLink(key.project, key.address.name), alias, *aliases_);
    case Part::kNetns: {
      const auto* netns = wanted == nullptr ? nullptr : std::get_if<NetnsWanted>(wanted);
      TRY(UndoNetns(netns != nullptr ? netns->pin : directories_.NetnsPin(key.project, key.address), alias, *aliases_));
      return ForgetGone(key);
    }
    case Part::kFirewall:
      return UndoFirewall(FirewallTable(key.project), directories_, WaitFor(key));
    case Part::kNames: {
      const auto* names = wanted == nullptr ? nullptr : std::get_if<NamesWanted>(wanted);
      return UndoNames(names != nullptr ? names->directory : directories_.ServiceDir(key.project, key.address));
    }
    case Part::kDirectory:
    case Part::kCgroup:
    case Part::kProcess:
      break;
  }
  return Fail(NotOurs("undo", key));
}

}  // namespace nucleus::netns
