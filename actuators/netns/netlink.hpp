// Netlink: messages, a socket, and what a dump of links, addresses and routes says. netlink(7), rtnetlink(7).
//
// Messages are built and taken apart with libnl; the exchange over the socket is our own, because libnl passes over
// the kernel's explanation of an error (extended acknowledgement) and over its filters of dumps.
// A socket stays in the network namespace it was opened in, whatever its thread does later; one thread at a time.
// Errors carry the kernel's own words where it gave any.
#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actuators/sys/fd.hpp"
#include "spec/core/error.hpp"
#include "spec/types.hpp"
#include "state/parts/netns_facts.hpp"

struct nl_msg;
struct nlattr;

namespace nucleus::netns {

// A request under construction. Attributes nest by PutNested, whose function fills them.
class Message {
 public:
  Message(std::uint16_t type, std::uint16_t flags);
  // Of a few attributes: a page for each of a thousand namespaces costs more than the question.
  static Message Question(std::uint16_t type, std::uint16_t flags = 0);
  ~Message();
  Message(Message&&) noexcept;
  Message& operator=(Message&&) noexcept;

  template <class T>
  Message& Header(const T& header) {
    return Append(&header, sizeof header);
  }
  template <class T>
  Message& Put(int attribute, const T& value) {
    return PutBytes(attribute, &value, sizeof value);
  }
  Message& PutText(int attribute, std::string_view text);  // with a zero byte at the end
  Message& PutAddress(int attribute, const spec::IpAddress& address);
  Message& PutBytes(int attribute, const void* data, std::size_t size);
  Message& PutRaw(std::string_view bytes);  // header and attributes, as a message of the kernel's had them
  Message& PutNested(int attribute, const std::function<void(Message&)>& fill);

  [[nodiscard]] nlmsghdr* raw();

 private:
  explicit Message(nl_msg* message) : message_(message) {}
  Message& Append(const void* data, std::size_t size);

  struct Free {
    void operator()(nl_msg* message) const;
  };
  std::unique_ptr<nl_msg, Free> message_;
};

// A request to nftables, for a family of protocols: NFPROTO_INET; enum nf_tables_msg_types, NFPROTO_UNSPEC is all.
Message NftMessage(int type, std::uint16_t flags, std::uint8_t family);
Message NftQuestion(int type, std::uint8_t family);  // Message::Question()

// The text of an attribute, whether or not a zero byte ends it; "" where there is none.
std::string TextOf(const nlattr* attribute);

class Netlink {
 public:
  // What answers are read into. Who opens many sockets one after the other lends them one.
  using Buffer = std::unique_ptr<std::byte[]>;
  static Buffer MakeBuffer();

  // NETLINK_ROUTE, NETLINK_NETFILTER; in the network namespace of the calling thread.
  static Result<Netlink> Open(int protocol, Buffer* lent = nullptr);

  // Sends, and waits for the acknowledgement. operation and subject are for the error: "create link", "nb0123".
  Result<> Do(Message& message, std::string_view operation, std::string_view subject);
  // The same for a request with one answer (RTM_GETLINK of one link).
  Result<> Get(Message& message, std::string_view operation, std::string_view subject,
               const std::function<void(nlmsghdr*)>& answer);
  // Messages of a subsystem of netfilter as one transaction: all take effect, or none. nfnetlink_rcv_batch() in the
  // kernel's net/netfilter/nfnetlink.c.
  Result<> DoBatch(std::vector<Message>& messages, std::uint8_t subsystem, std::string_view operation,
                   std::string_view subject);
  // A dump: one call for each message. Starts over where the kernel says that things changed meanwhile: each beginning,
  // the first too, is told, and what came before is void.
  Result<> Dump(Message& message, std::string_view operation, const std::function<void()>& begins,
                const std::function<void(nlmsghdr*)>& each);

 private:
  Netlink(sys::Fd fd, Buffer* lent);
  Result<> Send(Message& message, std::string_view operation, std::string_view subject);
  Result<> SendBytes(const void* data, std::size_t size, std::string_view operation, std::string_view subject);
  enum class Completion { kWhole, kInterrupted };
  Result<Completion> Receive(std::string_view operation, std::string_view subject,
                             const std::function<void(nlmsghdr*)>& each);

  sys::Fd fd_;
  std::uint32_t sequence_ = 0;
  Buffer own_;
  std::byte* buffer_;
};

// ---- what there is ----

// How IPv6 is on a link: /proc/sys/net/ipv6/conf/NAME, ip-sysctl.rst.
struct Ipv6Settings {
  int accept_ra = 0;
  int autoconf = 0;
  int accept_redirects = 0;
  int accept_dad = 0;
  int disable_ipv6 = 0;
};

struct Link {
  int index = 0;
  std::string name;
  std::string alias;
  std::string kind;  // "bridge", "veth"; "" for hardware
  MacAddress mac{};
  std::uint32_t mtu = 0;
  bool up = false;                // administratively
  int master = 0;                 // index of the bridge it is a port of
  bool hairpin = false;           // as a port of a bridge
  bool learns_of_groups = false;  // bridge: also from frames to the bridge group's addresses, see links.hpp
  int peer = 0;                   // veth: index of the other end, in the other end's namespace
  bool forwards = false;          // what comes in by it, of IPv4: forwarding in /proc/sys/net/ipv4/conf/NAME
  bool takes_redirects = false;   // accept_redirects there
  std::optional<Ipv6Settings> ipv6 = std::nullopt;  // none: this kernel has none
};

// Whether `inner` is the inside of an attachment of ours whose outside is `outer`, under the name it was given: its
// alias says which. Interfaces keep their names while others come and go, so their place among the networks does not.
bool IsAttachment(const Link& inner, const Link& outer);

// Link-local addresses of IPv6 are passed over: every link has one.
struct LinkAddress {
  int index = 0;  // of the link
  spec::IpAddress address;
  std::uint8_t prefix = 0;
  std::optional<spec::IpAddress> peer{};  // of a link from point to point: the other end's
  bool settled = true;                    // it may be used: not IFA_F_TENTATIVE, IFA_F_DADFAILED
  bool routed = true;                     // nobody has asked the kernel to make no route for it: IFA_F_NOPREFIXROUTE
};

struct Route {
  spec::IpNet to;
  std::optional<spec::IpAddress> gateway;
  int index = 0;  // of the link
  std::uint32_t metric = 0;
  std::uint8_t tos = 0;
  bool kernels = false;  // as those that the kernel makes beside an address
  std::uint32_t table = RT_TABLE_MAIN;
  std::uint8_t type = RTN_UNICAST;
  bool several = false;  // it has several ways, or its way is an object: RTA_MULTIPATH, RTA_NH_ID

  [[nodiscard]] bool IsOfMain() const { return table == RT_TABLE_MAIN && type == RTN_UNICAST; }
  [[nodiscard]] bool IsOrdinary() const { return IsOfMain() && !several; }
  [[nodiscard]] bool IsV6() const { return std::holds_alternative<spec::Ipv6Net>(to); }
  [[nodiscard]] bool IsDefault() const;
};

struct Snapshot {
  std::vector<Link> links;
  std::vector<LinkAddress> addresses;
  std::vector<Route> routes;  // of every table and type

  [[nodiscard]] const Link* Find(std::string_view name) const;
  [[nodiscard]] const Link* Find(int index) const;
  // "10.42.0.1/24", "10.42.0.1,peer=10.42.0.2/32"; several in order, a blank between them; "no address".
  [[nodiscard]] std::string AddressesOf(int index) const;
  // Unicast, of the main table.
  [[nodiscard]] std::vector<Route> DefaultRoutes() const;  // of both families
  [[nodiscard]] std::vector<Route> OtherRoutes() const;    // neither default nor the kernel's own
  // Whether the kernel has made it for one of the addresses.
  [[nodiscard]] bool IsKernels(const Route& route) const;
};

// What is wrong with the link of a program in user space (network_help.hpp); none where it is right, or is not there at
// all: who keeps the program makes it.
std::optional<std::string> UserspaceFault(const Snapshot& snapshot, bool v6);

Result<std::vector<Link>> DumpLinks(Netlink& netlink, std::string_view kind = {});  // of a kind; "": all
// index 0: of all links. family AF_UNSPEC: of both.
Result<std::vector<LinkAddress>> DumpAddresses(Netlink& netlink, int index, unsigned char family = AF_INET);
// Of one family: unicast, of the main table.
Result<std::vector<Route>> DumpRoutes(Netlink& netlink, unsigned char family = AF_INET);
// Over one link, of every table and type; none where there is no such link.
Result<std::vector<Route>> DumpRoutesOver(Netlink& netlink, int index);
Result<Snapshot> DumpAll(Netlink& netlink, bool v6);
// Whether this kernel has IPv6 at all.
bool HasIpv6();
// No value where there is no link of that name.
Result<std::optional<Link>> GetLink(Netlink& netlink, std::string_view name);
Result<std::optional<Link>> GetLink(Netlink& netlink, int index);

}  // namespace nucleus::netns
