#include "actuators/process/order.hpp"

#include <sys/socket.h>

#include <array>
#include <climits>
#include <cstring>

namespace nucleus::process {

namespace {

constexpr std::size_t kMostFds = 2;

struct Packet {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kMostFds * sizeof(int))> control{};
  std::array<char, PATH_MAX + 1> text{};  // whether it moves, and the directory
  iovec data{};
  msghdr message{};

  explicit Packet(std::size_t size) {
    data = {.iov_base = text.data(), .iov_len = size};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
  }
};

}  // namespace

Result<> SendOrder(const sys::Fd& socket, const Order& order) {
  if (order.directory.size() >= PATH_MAX) return FailSys("start the supervisor of", order.directory, ENAMETOOLONG);
  Packet packet(order.directory.size() + 1);
  packet.text.front() = order.moves ? 'm' : 'b';
  order.directory.copy(packet.text.data() + 1, order.directory.size());
  const std::array fds{order.ready.get(), order.group.get()};
  const std::size_t size = (order.group ? 2 : 1) * sizeof(int);
  packet.message.msg_controllen = CMSG_SPACE(size);
  cmsghdr* header = CMSG_FIRSTHDR(&packet.message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(size);
  std::memcpy(CMSG_DATA(header), fds.data(), size);
  if (::sendmsg(socket.get(), &packet.message, MSG_NOSIGNAL) < 0) return FailSys("ask for", "a supervisor");
  return {};
}

std::optional<Order> ReceiveOrder(const sys::Fd& socket) {
  Packet packet(PATH_MAX + 1);
  ssize_t got = 0;
  do {
    got = ::recvmsg(socket.get(), &packet.message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  const cmsghdr* header = got > 1 ? CMSG_FIRSTHDR(&packet.message) : nullptr;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return std::nullopt;
  Order order{
      .directory = std::string(packet.text.data() + 1, static_cast<std::size_t>(got) - 1), .ready = {}, .group = {}};
  order.moves = packet.text.front() == 'm';
  std::array<int, kMostFds> fds{-1, -1};
  std::memcpy(fds.data(), CMSG_DATA(header), std::min(sizeof fds, header->cmsg_len - CMSG_LEN(0)));
  order.ready.reset(fds[0]);
  order.group.reset(fds[1]);
  return order;
}

}  // namespace nucleus::process
