// What the program that starts supervisors is asked for, over a pair of sockets: one packet each, with its descriptors;
// unix(7), SOCK_SEQPACKET and SCM_RIGHTS. Any number of threads may ask at one socket.
#pragma once

#include <optional>
#include <string>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"

namespace nucleus::process {

inline constexpr const char* kAsStarter = "start";  // the last word of its command
// The first byte of what such a supervisor answers: it lives. Nobody can be born in a group that was ever killed.
inline constexpr char kLives = '.';

struct Order {
  std::string directory;  // of the service
  sys::Fd ready;          // the pipe for its answer: channel.hpp
  sys::Fd group;          // the directory of the control group to be in; or none
  bool moves = false;     // there, and is not born there
};

Result<> SendOrder(const sys::Fd& socket, const Order& order);
// Waits for the next one. None: nobody is left who would ask.
std::optional<Order> ReceiveOrder(const sys::Fd& socket);

}  // namespace nucleus::process
