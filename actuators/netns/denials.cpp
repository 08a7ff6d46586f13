#include "actuators/netns/denials.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <endian.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sched.h>

#include <array>
#include <atomic>

#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "spec/core/threads.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

std::optional<std::uint64_t> PacketsOf(nlmsghdr* answer) {
  std::array<nlattr*, NFTA_OBJ_MAX + 1> object{};
  std::array<nlattr*, NFTA_COUNTER_MAX + 1> counter{};
  if (nlmsg_parse(answer, sizeof(nfgenmsg), object.data(), NFTA_OBJ_MAX, nullptr) < 0) return std::nullopt;
  nlattr* data = object[NFTA_OBJ_DATA];
  if (data == nullptr || nla_parse_nested(counter.data(), NFTA_COUNTER_MAX, data, nullptr) < 0) return std::nullopt;
  nlattr* packets = counter[NFTA_COUNTER_PACKETS];
  if (packets == nullptr || nla_len(packets) != sizeof(std::uint64_t)) return std::nullopt;
  return be64toh(nla_get_u64(packets));
}

Result<std::optional<std::uint64_t>> Ask(Netlink& netlink) {
  auto message = NftMessage(NFT_MSG_GETOBJ, 0, NFPROTO_INET);
  message.PutText(NFTA_OBJ_TABLE, kEgressTable)
      .PutText(NFTA_OBJ_NAME, kEgressCounter)
      .Put(NFTA_OBJ_TYPE, htobe32(NFT_OBJECT_COUNTER));
  std::optional<std::uint64_t> denied;
  const auto got =
      netlink.Get(message, "read counter", kEgressCounter, [&](nlmsghdr* answer) { denied = PacketsOf(answer); });
  if (!got && got.error().sys_errno != ENOENT) return Fail(got.error());
  return denied;
}

}  // namespace

Result<std::optional<std::uint64_t>> DeniedHere() {
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  return Ask(netlink);
}

Result<std::optional<std::uint64_t>> DeniedIn(const sys::Fd& network) {
  std::optional<std::uint64_t> denied;
  const auto read = [&]() -> Result<> {
    denied = TRY(DeniedHere());
    return {};
  };
  TRY(InNamespace(network, "egress rules", read));
  return denied;
}

std::vector<std::optional<std::uint64_t>> DeniedIn(const std::vector<std::string>& paths) {
  std::vector<std::optional<std::uint64_t>> all(paths.size());
  std::atomic<std::size_t> next = 0;
  OnThreads(paths.size(), [&] {
    auto buffer = Netlink::MakeBuffer();
    for (std::size_t i = next++; i < paths.size(); i = next++) {
      const sys::Fd network(::open(paths[i].c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
      if (!network || ::setns(network.get(), CLONE_NEWNET) != 0) continue;
      auto netlink = Netlink::Open(NETLINK_NETFILTER, &buffer);
      if (const auto denied = netlink ? Ask(*netlink) : Fail(netlink.error())) all[i] = *denied;
    }
  });
  return all;
}

}  // namespace nucleus::netns
