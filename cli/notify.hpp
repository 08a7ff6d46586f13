// What a service tells its manager: sd_notify(3), as datagrams to the socket that NOTIFY_SOCKET names. Where there is
// none, nothing is told. No answer is waited for; a manager that is slow to listen is, for two seconds.
#pragma once

#include <string_view>

#include "actuators/sys/fd.hpp"

namespace nucleus::cli {

class Notify {
 public:
  // Takes NOTIFY_SOCKET out of the environment: what is started from here is not to speak for us.
  Notify();

  void Ready(std::string_view status);  // and what it is at
  void Status(std::string_view status);
  void Reloading();  // until Ready()
  void Stopping();

 private:
  void Send(std::string_view text);

  sys::Fd socket_;
};

}  // namespace nucleus::cli
