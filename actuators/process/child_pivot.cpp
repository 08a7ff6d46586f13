// Whose root the mount namespace has: first ours, wherever we were started, then the container's, and nothing above it.
#include <sys/mount.h>

#include "actuators/process/child_data.hpp"
#include "actuators/sys/mount_api.hpp"
#include "actuators/sys/openat2.hpp"

namespace nucleus::process {

namespace {

// "pivot_root(".", ".")", pivot_root(2): the old root ends up above the new one and is detached from there.
bool PivotTo(Child& child, int root) {
  if (::fchdir(root) != 0) return child.Fail(Step::kPivot);
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return child.Fail(Step::kPivot);
  if (::umount2(".", MNT_DETACH) != 0) return child.Fail(Step::kPivot);
  return ::chdir("/") == 0 || child.Fail(Step::kPivot);
}

bool Same(const sys::MountIdentity& a, const sys::MountIdentity& b) {
  return a.mount == b.mount && a.inode == b.inode;
}

// In a chroot the root of the mount namespace is another one, outside, and stays what setns(2) gives to whoever enters:
// a health probe would find itself there. So the chroot is made the namespace's root. Entering our own namespace again
// tells whether it is one already, for that takes us to its root.
bool RootTheNamespace(Child& child) {
  const int here = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const int own = ::openat(child.proc_self, "ns/mnt", O_RDONLY | O_CLOEXEC);
  sys::MountIdentity before, after;
  if (here < 0 || own < 0 || !sys::IdentifyMount(here, before)) return child.Fail(Step::kPropagation, Call::kOpen);
  if (::setns(own, CLONE_NEWNS) != 0) return child.Fail(Step::kPropagation);
  const int top = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (top < 0 || !sys::IdentifyMount(top, after)) return child.Fail(Step::kPropagation, Call::kOpen);
  // Private first: nothing that is mounted here reaches the host, nothing of the host's arrives here any more.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return child.Fail(Step::kPropagation);
  if (!Same(before, after)) {
    const unsigned flags = sys::kOpenTreeClone | sys::kOpenTreeCloexec | AT_EMPTY_PATH | sys::kRecursive;
    const int tree = sys::OpenTree(here, "", flags);
    if (tree < 0) return child.Fail(Step::kPropagation, Call::kOpenTree);
    if (sys::MoveMount(tree, top) != 0) return child.Fail(Step::kPropagation, Call::kMoveMount);
    if (!PivotTo(child, tree)) return false;
    ::close(tree);
  }
  ::close(top);
  ::close(own);
  ::close(here);
  return true;
}

}  // namespace

bool LeaveHostMounts(Child& child) {
  if (!RootTheNamespace(child)) return false;
  child.old_root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  return child.old_root >= 0 || child.Fail(Step::kPropagation, Call::kOpen);
}

// Where the root of the mount namespace cannot be moved, as on the kernel's first root file system; pivot_root(2). The
// old root stays mounted below, and only a process that may change roots finds it.
bool ChrootTo(Child& child, int root) {
  child.used_chroot = true;
  return (::fchdir(root) == 0 && ::chroot(".") == 0 && ::chdir("/") == 0) || child.Fail(Step::kPivot);
}

bool EnterRoot(Child& child) {
  if (!PivotTo(child, child.root) && !(child.data.launch.chroot_fallback && ChrootTo(child, child.root))) return false;
  // Nothing may lie above the root: a step up from it crosses into whatever is mounted there.
  sys::MountIdentity root, above;
  const int up = ::open("..", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const bool same =
      up >= 0 && sys::IdentifyMount(up, above) && sys::IdentifyMount(child.root, root) && Same(above, root);
  if (!same) return child.Fail(Step::kPivot, Call::kNone, -1, EXDEV);
  ::close(up);
  return true;
}

}  // namespace nucleus::process
