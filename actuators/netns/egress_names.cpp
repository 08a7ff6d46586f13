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
#include <chrono>
#include <csignal>
#include <system_error>

#include "actuators/netns/namespace.hpp"
#include "actuators/netns/netlink.hpp"
#include "state/parts/egress_model.hpp"

namespace nucleus::netns {

namespace {

using Element = std::pair<spec::Ipv4, Millis>;  // how long yet

Millis Now() {
  using std::chrono::milliseconds;
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Message ToSet(std::uint16_t type, std::uint16_t flags) {
  auto message = NftMessage(type, flags, NFPROTO_INET);
  message.PutText(NFTA_SET_ELEM_LIST_TABLE, kEgressTable).PutText(NFTA_SET_ELEM_LIST_SET, kEgressSet);
  return message;
}

Message AddElements(std::span<const Element> elements) {
  auto message = ToSet(NFT_MSG_NEWSETELEM, NLM_F_CREATE);
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

// These and no others, in one transaction: what is among both is there all the time.
Result<> PutElements(std::span<const Element> elements) {
  constexpr std::size_t kOfMessage = 64;  // a message is a page
  auto netlink = TRY(Netlink::Open(NETLINK_NETFILTER));
  std::vector<Message> batch;
  batch.push_back(ToSet(NFT_MSG_DELSETELEM, 0));  // without elements: all
  for (std::size_t i = 0; i < elements.size(); i += kOfMessage)
    batch.push_back(AddElements(elements.subspan(i, std::min(kOfMessage, elements.size() - i))));
  return netlink.DoBatch(batch, NFNL_SUBSYS_NFTABLES, "replace addresses", kEgressSet);
}

// Readable while a signal that asks for an end is held back.
Result<sys::Fd> EndAsked() {
  sigset_t signals;
  ::sigemptyset(&signals);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    struct sigaction action{};
    const bool ignored = ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
    if (!ignored) ::sigaddset(&signals, signal);
  }
  sys::Fd fd(::signalfd(-1, &signals, SFD_CLOEXEC));
  if (!fd) return FailSys("signalfd", "names");
  return fd;
}

}  // namespace

Result<> EgressNames::Refresh(const sys::Fd& stop, const Tell& tell) {
  std::set<spec::Ipv4> own;
  for (const auto& [index, address, prefix] : TRY(DumpAddresses(machine_, 0)))
    own.insert(std::get<spec::Ipv4>(address));
  book_.Exclude(std::move(own));
  for (const auto& [name, answer] : LookUp(book_.Due(Now()), resolvers_, &stop)) {
    if (!answer && answer.error().code == ErrorCode::kInterrupted) return Fail(answer.error());
    if (const auto wrong = book_.Learn(name, answer, Now())) tell(*wrong);
  }
  const Millis now = Now();
  std::vector<Element> elements;
  for (const auto& [address, until] : book_.Addresses(now)) elements.emplace_back(address, until - now);
  return PutElements(elements);
}

void EgressNames::Keep() {
  HoldSignals();
  if (::setns(network_.get(), CLONE_NEWNET) != 0) return tell_(Error::Sys("enter", "network namespace"));
  bool told = false;
  while (true) {
    // At most a minute, so that a set that could not be written is tried again.
    const auto wait = static_cast<int>(std::clamp<Millis>(book_.NextDue() - Now(), told ? 1'000 : 0, 60'000));
    pollfd entry{stop_.get(), POLLIN, 0};
    if (::poll(&entry, 1, wait) < 0 && errno != EINTR) return;
    if (entry.revents != 0) return;
    const auto done = Refresh(stop_, tell_);
    if (!done && done.error().code == ErrorCode::kInterrupted) return;
    if (!done && !told) tell_(done.error());
    told = !done;
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
  TRY(InNamespace(network, "egress rules", [&] { return names->Refresh(end, first); }));
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
