// Starting the programs of userspace.hpp, one source each, and what both have in common. Internal to actuators/netns.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "actuators/netns/userspace_program.hpp"
#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/types.hpp"

namespace nucleus::netns {

inline constexpr std::chrono::milliseconds kUserspacePatience{10'000};  // for it to begin, and for an answer

// One that runs, with its link up. It ends when `exit` is closed (slirp4netns), or has to be killed.
struct UserspaceProcess {
  pid_t pid = 0;    // 0: none
  sys::Fd process;  // its pidfd
  sys::Fd exit;
  std::map<spec::PortForward, int> published;  // slirp4netns: by the number it knows it by

  // Ends it, and takes its exit status.
  void End();
};

// network: the namespace. directory: the caller's alone, by both; where the program is told what to do.
struct UserspacePlace {
  sys::Fd network;
  sys::Fd directory;
  std::string path;
  bool v6 = false;  // beside IPv4; the link's addresses are set afterwards
};

// Through when the link is up. The ports of slirp4netns are published one by one, at any time.
Result<UserspaceProcess> StartSlirp(const std::string& program, const UserspacePlace& place);
Result<int> PublishBySlirp(const UserspacePlace& place, const spec::PortForward& port);
Result<> WithdrawFromSlirp(const UserspacePlace& place, const spec::PortForward& port, int number);
// And those of pasta at its start.
Result<UserspaceProcess> StartPasta(const std::string& program, const UserspacePlace& place,
                                    const std::vector<spec::PortForward>& ports);
void RemoveTraces(const UserspacePlace& place);  // of either, in the directory

// Waits until there is something to read, or the other end is closed.
bool Readable(const sys::Fd& fd, std::chrono::steady_clock::time_point deadline);
// What a program said of what is wrong, in one line.
std::string WordsOf(const sys::Fd& words);
// A copy of a descriptor, `first` or above.
Result<sys::Fd> Above(const sys::Fd& fd, int first, std::string_view what);
// The device that both make their link with.
Result<> CheckTunDevice();

}  // namespace nucleus::netns
