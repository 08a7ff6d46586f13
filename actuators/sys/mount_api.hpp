// The file-descriptor mount interface of the kernel as thin calls: open_tree(2), move_mount(2), fsopen(2), fsconfig(2),
// fsmount(2), mount_setattr(2), and the identity of a mount from statx(2).
//
// Header only and free of allocation, locks and exceptions, so that it may be used between clone and exec. Each returns
// what the system call returns: -1 and errno on error. Constants are our own: <linux/mount.h> of Debian 12 lacks some,
// and it cannot be included beside <sys/mount.h>.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace nucleus::sys {

inline constexpr unsigned kOpenTreeClone = 1;
inline constexpr unsigned kOpenTreeCloexec = O_CLOEXEC;
inline constexpr unsigned kRecursive = 0x8000;  // AT_RECURSIVE
inline constexpr unsigned kMoveFromEmptyPath = 0x04;
inline constexpr unsigned kMoveToEmptyPath = 0x40;
inline constexpr unsigned kFsopenCloexec = 1;
inline constexpr unsigned kFsmountCloexec = 1;

inline constexpr std::uint64_t kAttrReadOnly = 0x01;
inline constexpr std::uint64_t kAttrNoSuid = 0x02;
inline constexpr std::uint64_t kAttrNoDev = 0x04;
inline constexpr std::uint64_t kAttrNoExec = 0x08;

enum class FsconfigCommand : unsigned { kSetFlag = 0, kSetString = 1, kSetFd = 5, kCreate = 6 };

struct MountAttributes {  // struct mount_attr
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  std::uint64_t propagation = 0;  // MS_PRIVATE and its like
  std::uint64_t userns_fd = 0;
};

inline int OpenTree(int dir, const char* path, unsigned flags) {
  return static_cast<int>(::syscall(SYS_open_tree, dir, path, flags));
}
// Both ends by descriptor: nothing is looked up again between the check and the use.
inline int MoveMount(int from, int to) {
  return static_cast<int>(::syscall(SYS_move_mount, from, "", to, "", kMoveFromEmptyPath | kMoveToEmptyPath));
}
inline int Fsopen(const char* type) {
  return static_cast<int>(::syscall(SYS_fsopen, type, kFsopenCloexec));
}
inline int Fsconfig(int fd, FsconfigCommand command, const char* key, const char* value, int aux = 0) {
  return static_cast<int>(::syscall(SYS_fsconfig, fd, static_cast<unsigned>(command), key, value, aux));
}
inline int Fsmount(int fd, std::uint64_t attributes) {
  return static_cast<int>(::syscall(SYS_fsmount, fd, kFsmountCloexec, static_cast<unsigned>(attributes)));
}
// flags: AT_EMPTY_PATH is implied; kRecursive for the whole tree.
inline int MountSetattr(int fd, unsigned flags, const MountAttributes& attributes) {
  return static_cast<int>(::syscall(SYS_mount_setattr, fd, "", flags | AT_EMPTY_PATH, &attributes, sizeof(attributes)));
}

// Device, inode and mount of what a descriptor refers to. Equal `mount` numbers are equal mounts: it is the first field
// of /proc/PID/mountinfo. False: errno says why.
struct MountIdentity {
  std::uint64_t mount = 0;
  std::uint64_t inode = 0;
  std::uint32_t device_major = 0, device_minor = 0;
  std::uint32_t mode = 0;
  bool is_mount_root = false;
};
inline bool IdentifyMount(int fd, MountIdentity& identity) {
  struct statx st{};
  if (::syscall(SYS_statx, fd, "", AT_EMPTY_PATH, STATX_TYPE | STATX_MODE | STATX_INO | 0x1000U /*MNT_ID*/, &st) != 0)
    return false;
  identity.mount = st.stx_mnt_id;
  identity.inode = st.stx_ino;
  identity.device_major = st.stx_dev_major;
  identity.device_minor = st.stx_dev_minor;
  identity.mode = st.stx_mode;
  identity.is_mount_root = (st.stx_attributes & 0x2000U /*STATX_ATTR_MOUNT_ROOT*/) != 0;
  return true;
}

}  // namespace nucleus::sys
