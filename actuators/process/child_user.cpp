// The first thing of a child in a user namespace of its own. Until its maps are written it is nobody; then it becomes
// the namespace's root, or its only user, to set the container up. user_namespaces(7).
#include <sched.h>
#include <sys/syscall.h>

#include "actuators/process/child_data.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

// CLONE_NEWTIME is not in the headers of every C library; time_namespaces(7).
constexpr int kNewTime = 0x80;

}  // namespace

int NamespacesOf(const Launch& launch) {
  return CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | (launch.user_namespace.enabled ? CLONE_NEWUSER : 0) |
         (launch.host_cgroups ? 0 : CLONE_NEWCGROUP) |
         (launch.host_network && launch.netns.empty() ? 0 : CLONE_NEWNET) | (launch.time_namespace ? kNewTime : 0);
}

bool TakeUserNamespace(Child& child) {
  const Launch& launch = child.data.launch;
  if (!launch.user_namespace.enabled || child.data.inside) return true;
  AwaitParent(child);
  const std::uint32_t uid = OutsideId(launch.user_namespace.uids, 0) ? 0 : launch.identity.uid;
  const std::uint32_t gid = OutsideId(launch.user_namespace.gids, 0) ? 0 : launch.identity.gid;
  if (::syscall(SYS_setresgid, gid, gid, gid) != 0 || ::syscall(SYS_setresuid, uid, uid, uid) != 0)
    return child.Fail(Step::kUserNamespace);
  return true;
}

}  // namespace nucleus::process
