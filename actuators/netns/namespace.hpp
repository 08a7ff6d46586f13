// A pinned network namespace: opened by the path of its nsfs bind mount, and entered by a thread.
// network_namespaces(7).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::netns {

enum class PinState {
  kAbsent,   // no file
  kNoMount,  // a file, but no namespace behind it: a killed apply, or mounted where we cannot see it
  kForeign,  // another kind of object, or the namespace we are in ourselves
  kMounted,
};

struct Pin {
  PinState state = PinState::kAbsent;
  sys::Fd fd;  // kMounted: for setns(2)
  std::uint64_t inode = 0;
};

struct NamespaceId {
  dev_t device = 0;
  ino_t inode = 0;
  bool operator==(const NamespaceId&) const = default;
};
// The network namespace of the calling thread.
Result<NamespaceId> OwnNamespace();

// own: what OwnNamespace() says.
Result<Pin> OpenPin(const std::string& path, const NamespaceId& own);
Result<Pin> OpenPin(const std::string& path);

// Whether the network namespace that the caller is in belongs to its user namespace. If not, no capability of the
// caller's is one over that network. user_namespaces(7), ioctl_ns(2).
bool OwnsNetwork();

// No signal comes to the calling thread from here on: they are for the one that waits for them, and one that means
// nothing to a thread would be lost there.
void HoldSignals();

// Runs the function in a thread of its own and waits for it. The thread may enter namespaces: it ends with the call.
Result<> OnThread(const std::function<Result<>()>& function);
// The same, inside a network namespace.
Result<> InNamespace(const sys::Fd& fd, std::string_view subject, const std::function<Result<>()>& function);

}  // namespace nucleus::netns
