#include "actuators/netns/egress_names.hpp"

// Before linux/netfilter.h, which else brings the kernel's own idea of the same types.
#include <netinet/in.h>

#include <endian.h>
#include <fcntl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <system_error>

#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "actuators/sys/pending_signals.hpp"
#include "spec/net.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

using Element = std::pair<spec::IpAddress, Millis>;  // how long yet

Millis Now() {
  using std::chrono::milliseconds;
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Message ToSet(std::string_view set, std::uint16_t type, std::uint16_t flags) {
  auto message = NftMessage(type, flags, NFPROTO_INET);
  message.PutText(NFTA_SET_ELEM_LIST_TABLE, kEgressTable).PutText(NFTA_SET_ELEM_LIST_SET, set);
  return message;
}

Message AddElements(std::string_view set, std::span<const Element> elements) {
  auto message = ToSet(set, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
  message.PutNested(NFTA_SET_ELEM_LIST_ELEMENTS | NLA_F_NESTED, [&](Message& list) {
    for (const auto& [address, left] : elements) {
      list.PutNested(NFTA_LIST_ELEM | NLA_F_NESTED, [&](Message& element) {
        element.PutNested(NFTA_SET_ELEM_KEY | NLA_F_NESTED,
                          [&](Message& key) { key.PutAddress(NFTA_DATA_VALUE, address); });
        element.Put(NFTA_SET_ELEM_TIMEOUT, htobe64(static_cast<std::uint64_t>(left)));
      });
    }
  });
  return message;
}

// These and no others of a set.
void Replace(std::string_view set, std::span<const Element> elements, std::vector<Message>& batch) {
  constexpr std::size_t kOfMessage = 48;               // a message is a page
  batch.push_back(ToSet(set, NFT_MSG_DELSETELEM, 0));  // without elements: all
  for (std::size_t i = 0; i < elements.size(); i += kOfMessage)
    batch.push_back(AddElements(set, elements.subspan(i, std::min(kOfMessage, elements.size() - i))));
}

// In one transaction: what is there before and after is there all the time.
Result<> PutElements(std::vector<Element> elements, bool v6) {
  const auto others = std::ranges::partition(elements, [](const auto& element) { return !spec::IsV6(element.first); });
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  std::vector<Message> batch;
  Replace(kEgressSet, {elements.begin(), others.begin()}, batch);
  if (v6) Replace(kEgressSet6, others, batch);
  return netlink.DoBatch(batch, NFNL_SUBSYS_NFTABLES, "replace addresses", kEgressSet);
}

// Tells of changes to the rules of the namespace that the calling thread is in.
Result<sys::Fd> RuleEvents() {
  sys::Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = 1U << (NFNLGRP_NFTABLES - 1);
  if (!socket || ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return FailSys("listen for changes of", "egress rules");
  return socket;
}

// Whether a set was made, or something was missed. Takes all that there is.
bool SawNewSet(const sys::Fd& events) {
  bool saw = false;
  alignas(nlmsghdr) std::array<char, 16 << 10> buffer{};
  while (true) {
    const ssize_t size = ::recv(events.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == ENOBUFS) {
      saw = true;
      continue;
    }
    if (size <= 0) return saw;
    auto left = static_cast<int>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(header, static_cast<unsigned>(left));
         header = NLMSG_NEXT(header, left)) {
      saw = saw || header->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWSET);
    }
  }
}

// Readable while a signal that asks for an end is held back.
Result<sys::Fd> EndAsked() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT})
    if (!sys::IsIgnored(signal)) ::sigaddset(&signals, signal);
  sys::Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) return FailSys("signalfd", "names");
  return fd;
}

}  // namespace

Result<> EgressNames::Put() {
  const Millis now = Now();
  std::vector<Element> elements;
  for (const auto& [address, until] : book_.Addresses(now)) elements.emplace_back(address, until - now);
  return PutElements(std::move(elements), v6_);
}

Result<> EgressNames::Refresh(const sys::Fd& stop, const Tell& tell) {
  std::set<spec::IpAddress> own;
  for (const auto& one : TRY(DumpAddresses(machine_, 0, v6_ ? AF_UNSPEC : AF_INET))) own.insert(one.address);
  book_.Exclude(std::move(own));
  for (const auto& [name, answer] : LookUp(book_.Due(Now()), resolvers_, v6_, &stop)) {
    if (!answer && answer.error().code == ErrorCode::kInterrupted) return Fail(answer.error());
    if (const auto wrong = book_.Learn(name, answer, Now())) tell(*wrong);
  }
  return Put();
}

void EgressNames::Keep() {
  HoldSignals();
  if (::setns(network_.get(), CLONE_NEWNET) != 0) return tell_(Error::Sys("enter", "network namespace"));
  const auto events = RuleEvents();
  if (!events) tell_(events.error());
  bool told = false;
  auto done = Put();  // the rules may have been made anew before there was somebody to be told
  while (true) {
    if (!done && done.error().code == ErrorCode::kInterrupted) return;
    if (!done && !told) tell_(done.error());
    told = !done;
    // At most a minute, so that a set that could not be written is tried again.
    const auto wait = static_cast<int>(std::clamp<Millis>(book_.NextDue() - Now(), told ? 1'000 : 0, 60'000));
    std::array<pollfd, 2> entries{pollfd{stop_.get(), POLLIN, 0}, pollfd{events ? events->get() : -1, POLLIN, 0}};
    if (::poll(entries.data(), entries.size(), wait) < 0 && errno != EINTR) return;
    if (entries[0].revents != 0) return;
    if (entries[1].revents == 0) {
      done = Refresh(stop_, tell_);
    } else if (SawNewSet(*events)) {
      done = Put();
    }
  }
}

Result<std::unique_ptr<EgressNames>> EgressNames::Start(const sys::Fd& network, const EgressWanted& wanted, Tell tell) {
  sys::Fd own(::fcntl(network.get(), F_DUPFD_CLOEXEC, 0));
  if (!own) return FailSys("dup", "network namespace");
  std::unique_ptr<EgressNames> names(
      new EgressNames(std::move(own), TRY(Netlink::Open(NETLINK_ROUTE)), wanted, std::move(tell)));
  names->stop_.reset(::eventfd(0, EFD_CLOEXEC));
  if (!names->stop_) return FailSys("eventfd", "names");
  const sys::Fd end = TRY(EndAsked());
  std::optional<Error> wrong;
  const Tell first = [&](const Error& error) {
    if (!wanted.domains_must_resolve) return names->tell_(error);
    if (!wrong) wrong = error;
  };
  auto looked = InNamespace(network, "egress rules", [&] { return names->Refresh(end, first); });
  // Without the rules, which may lack, there is nothing to keep them in, until there is.
  const bool lacks = !looked && looked.error().sys_errno == ENOENT && !wanted.domains_must_resolve;
  if (!looked && !lacks) return Fail(std::move(looked).error());
  if (lacks) names->tell_(looked.error());
  if (wrong) return Fail(*std::move(wrong));
  try {
    names->keeper_ = std::thread([keeper = names.get()] { keeper->Keep(); });
  } catch (const std::system_error&) {
    return Fail(ErrorCode::kSystem, "start", "a thread", "there is no room for one");
  }
  return names;
}

EgressNames::~EgressNames() {
  if (!keeper_.joinable()) return;
  ::eventfd_write(stop_.get(), 1);
  keeper_.join();
}

}  // namespace nucleus::netns
