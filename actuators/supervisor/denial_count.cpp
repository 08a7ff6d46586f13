#include "actuators/supervisor/denial_count.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <endian.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>
#include <system_error>
#include <thread>

#include "actuators/sys/fd.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::process {

namespace {

// By a thread of its own: an ordinary user may enter what is its own, and not come back.
sys::Fd SocketIn(const std::string& network) {
  sys::Fd socket;
  const auto open = [&] {
    const sys::Fd there(::open(network.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!there || ::setns(there.get(), CLONE_NEWNET) != 0) return;
    socket.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    const timeval patience{.tv_sec = 1, .tv_usec = 0};
    if (socket) ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  };
  try {
    std::thread(open).join();
  } catch (const std::system_error&) {
    return {};  // there is no room for one
  }
  return socket;
}

// netlink(7): each attribute begins at a multiple of four.
void Put(std::string& message, std::uint16_t type, std::string_view data) {
  const nlattr head{.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + data.size()), .nla_type = type};
  message.append(reinterpret_cast<const char*>(&head), sizeof head).append(data);
  message.resize(NLA_ALIGN(message.size()));
}

std::string Question() {
  std::string attributes;
  const auto text = [](std::string_view word) { return std::string(word) + '\0'; };
  const std::uint32_t type = htobe32(NFT_OBJECT_COUNTER);
  Put(attributes, NFTA_OBJ_TABLE, text(kEgressTable));
  Put(attributes, NFTA_OBJ_NAME, text(kEgressCounter));
  Put(attributes, NFTA_OBJ_TYPE, {reinterpret_cast<const char*>(&type), sizeof type});
  nlmsghdr head{};
  head.nlmsg_len = static_cast<std::uint32_t>(NLMSG_HDRLEN + sizeof(nfgenmsg) + attributes.size());
  head.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETOBJ;
  head.nlmsg_flags = NLM_F_REQUEST;
  const nfgenmsg family{.nfgen_family = NFPROTO_INET, .version = NFNETLINK_V0, .res_id = 0};
  std::string message(reinterpret_cast<const char*>(&head), sizeof head);
  message.append(reinterpret_cast<const char*>(&family), sizeof family).append(attributes);
  return message;
}

// What an attribute of that type holds; empty where there is none.
std::string_view Find(std::string_view attributes, std::uint16_t type) {
  while (attributes.size() >= NLA_HDRLEN) {
    nlattr head{};
    std::memcpy(&head, attributes.data(), sizeof head);
    if (head.nla_len < NLA_HDRLEN || head.nla_len > attributes.size()) break;
    if ((head.nla_type & NLA_TYPE_MASK) == type) return attributes.substr(NLA_HDRLEN, head.nla_len - NLA_HDRLEN);
    attributes.remove_prefix(std::min<std::size_t>(NLA_ALIGN(head.nla_len), attributes.size()));
  }
  return {};
}

std::optional<std::uint64_t> Answer(std::string_view message) {
  constexpr std::size_t kHeads = NLMSG_HDRLEN + sizeof(nfgenmsg);
  nlmsghdr head{};
  if (message.size() < kHeads) return std::nullopt;
  std::memcpy(&head, message.data(), sizeof head);
  if (head.nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWOBJ)) return std::nullopt;
  const auto packets = Find(Find(message.substr(kHeads), NFTA_OBJ_DATA), NFTA_COUNTER_PACKETS);
  std::uint64_t number = 0;
  if (packets.size() != sizeof number) return std::nullopt;
  std::memcpy(&number, packets.data(), sizeof number);
  return be64toh(number);
}

}  // namespace

std::optional<std::uint64_t> DeniedPackets(const std::string& network) {
  const sys::Fd socket = SocketIn(network);
  const std::string question = Question();
  if (!socket || ::send(socket.get(), question.data(), question.size(), 0) < 0) return std::nullopt;
  std::array<char, 4096> answer{};
  const ssize_t size = ::recv(socket.get(), answer.data(), answer.size(), 0);
  if (size <= 0) return std::nullopt;
  return Answer(std::string_view(answer.data(), static_cast<std::size_t>(size)));
}

}  // namespace nucleus::process
