// What a service tells its manager: sd_notify(3), as datagrams to the socket that NOTIFY_SOCKET names. Where there is
// none, nothing is told. No answer is waited for; a manager that is slow to listen is, for two seconds.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>

#include "actuators/sys/fd.hpp"

namespace nucleus::cli {

class Notify {
 public:
  using Milliseconds = std::chrono::milliseconds;
  // Takes NOTIFY_SOCKET and WATCHDOG_USEC out of the environment: what is started from here is not to speak for us.
  Notify();

  void Ready(std::string_view status);  // and what it is at
  void Status(std::string_view status);
  void Reloading();  // until Ready()
  void Stopping();

  // sd_watchdog_enabled(3): how often the manager wants to hear that all is well, twice as often as it needs to; none:
  // it does not ask.
  [[nodiscard]] std::optional<Milliseconds> alive_every() const { return alive_every_; }
  void Alive();

  // Says so by itself as long as it lives, for who is at work that has limits of its own.
  class KeepAlive {
   public:
    explicit KeepAlive(Notify& notify);

   private:
    std::mutex mutex_;
    std::condition_variable_any ended_;
    std::jthread thread_;  // last: it ends before what it uses
  };

 private:
  void Send(std::string_view text);

  sys::Fd socket_;
  std::optional<Milliseconds> alive_every_;
};

}  // namespace nucleus::cli
