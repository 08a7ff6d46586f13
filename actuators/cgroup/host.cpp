// What the machine can do, as far as control groups and privileges go.
#include <linux/capability.h>
#include <unistd.h>

#include <cstdint>

#include "actuators/cgroup/probe.hpp"
#include "actuators/sys/capabilities.hpp"
#include "actuators/sys/cgroup_control.hpp"
#include "actuators/sys/process.hpp"

namespace nucleus::cgroup {

namespace {

Result<bool> Privileged() {
  constexpr std::uint64_t kNeeded = std::uint64_t{1} << CAP_SYS_ADMIN | std::uint64_t{1} << CAP_NET_ADMIN;
  return (TRY(sys::ReadOwnCapabilities()).effective & kNeeded) == kNeeded;
}

}  // namespace

Result<> FillHost(Host& host, std::string_view project) {
  return FillHost(host, RootOf(project));
}

Result<> FillHost(Host& host, Result<sys::CgroupRoot> root) {
  if (root) {
    host.controllers = std::move(root->controllers);
    host.cgroup_usable = root->writable;
  } else if (root.error().code == ErrorCode::kUnsupported) {
    host.controllers.clear();
    host.cgroup_usable = false;
  } else {
    return Fail(std::move(root).error());
  }
  host.boot_id = TRY(sys::BootId());
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page = ::sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) host.memory = static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page);
  host.privileged = TRY(Privileged());
  return {};
}

}  // namespace nucleus::cgroup
