// The listener of a seccomp program that asks: receiving a call, and answering; seccomp_unotify(2). Header only and
// free of allocation.
#pragma once

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/ioctl.h>

#include <cstdint>

namespace nucleus::sys {

// Linux 5.19: once a call was received, its caller waits for the answer whatever signals come, so that no call is
// begun again and received twice.
inline constexpr std::uint32_t kWaitKillableReceive = 1U << 5;

// False: nothing came of it, because whoever asked is gone, or a signal came in between.
inline bool ReceiveCall(int listener, seccomp_notif& call) {
  call = {};
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) == 0;
}

// The caller still waits: what was looked up by its number is about it, and not about another who has it now.
inline bool StillAsks(int listener, std::uint64_t id) {
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

inline bool LetThrough(int listener, std::uint64_t id) {
  seccomp_notif_resp answer{.id = id, .val = 0, .error = 0, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0;
}

// The call returns -error, or 0 where that is 0, and was not made.
inline bool Refuse(int listener, std::uint64_t id, int error) {
  seccomp_notif_resp answer{.id = id, .val = 0, .error = -error, .flags = 0};
  return ::ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) == 0;
}

// Linux 6.6: asker and answerer take turns on one processor, for they never run at the same time.
inline void TakeTurns(int listener) {
  constexpr std::uint64_t kSyncWakeUp = 1;
  ::ioctl(listener, SECCOMP_IOW(4, std::uint64_t), kSyncWakeUp);
}

}  // namespace nucleus::sys
