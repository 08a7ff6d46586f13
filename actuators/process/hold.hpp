// A supervisor that a systemd unit has started, and that waits for what it is to supervise: the unit has to be there
// before the container's control group, which lies in the unit's.
//
// It waits at the socket "hold" of the service's directory. Whoever makes the container keeps a connection; the process
// actuator makes another one, and sends by it the pipe on which it wants to hear how the start went (channel.hpp).
// Where the one that is kept ends before that, or none is within half a minute, nobody is left who would go on, and the
// supervisor gives up. Threads: any, one a value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

inline constexpr std::string_view kAsUnit = "unit";  // what the supervisor is told in the place of a pipe
inline constexpr int kTryAgain = 75;  // its exit code where the unit is to start it again, as if killed; EX_TEMPFAIL

class HoldSocket {
 public:
  static Result<HoldSocket> Make(const std::string& directory);
  // The pipe. helper: a pidfd of the child that was started to make the container once more, and must not end before;
  // or none. The socket is gone afterwards. Errors: kLocked where the helper failed, and may come through another time.
  Result<sys::Fd> Await(const sys::Fd& helper);

 private:
  [[nodiscard]] std::unexpected<Error> GiveUp(std::string_view who) const;
  [[nodiscard]] std::unexpected<Error> HelperEnded(const sys::Fd& helper) const;
  HoldSocket(std::string path, sys::Fd listener) : path_(std::move(path)), listener_(std::move(listener)) {}
  std::string path_;
  sys::Fd listener_;
};

// A connection to who waits in a directory; none: nobody does.
Result<std::optional<sys::Fd>> ConnectHold(const std::string& directory);
// The same to keep, as long as the container is being made.
Result<std::optional<sys::Fd>> KeepHold(const std::string& directory);
bool IsHeld(const std::string& directory);

inline constexpr std::string_view kAgainFile = "again";
// What is executed where the unit starts its supervisor again, a command that makes the container once more. It is to
// end with 0 where there is none any more. No words: the container has not been up yet. No file: it is to stay ended.
Result<> WriteAgain(const std::string& directory, const std::vector<std::string>& command);
Result<> ForgetAgain(const std::string& directory);
Result<std::optional<std::vector<std::string>>> ReadAgain(const std::string& directory);

}  // namespace nucleus::process
