#include "actuators/netns/netlink.hpp"

#include <linux/netfilter/nfnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <sys/socket.h>

#include <arpa/inet.h>

#include <array>
#include <cstring>

#include "actuators/netns/answers.hpp"

namespace nucleus::netns {

namespace {

// The kernel fills at most 32 KiB per message of a dump (NLMSG_GOODSIZE and what the reader offers).
constexpr std::size_t kBufferSize = 64 << 10;
constexpr int kDumpAttempts = 8;

Error KernelError(Ending ending, std::string_view operation, std::string_view subject) {
  Error error = Error::Sys(operation, subject, ending.err);
  if (!ending.words.empty()) error.cause = std::move(ending.words);
  return error;
}

}  // namespace

Message::Message(std::uint16_t type, std::uint16_t flags) : message_(nlmsg_alloc_simple(type, flags)) {}
Message Message::Question(std::uint16_t type, std::uint16_t flags) {
  constexpr std::size_t kEnough = 256;
  nl_msg* message = nlmsg_alloc_size(kEnough);
  nlmsg_put(message, 0, 0, type, 0, flags);
  return Message(message);
}
Message::~Message() = default;
Message::Message(Message&&) noexcept = default;
Message& Message::operator=(Message&&) noexcept = default;
void Message::Free::operator()(nl_msg* message) const {
  nlmsg_free(message);
}

namespace {

Message OfNft(Message message, std::uint8_t family) {
  nfgenmsg header{};
  header.nfgen_family = family;
  header.version = NFNETLINK_V0;
  message.Header(header);
  return message;
}

constexpr std::uint16_t NftType(int type) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | type);
}

}  // namespace

Message NftMessage(int type, std::uint16_t flags, std::uint8_t family) {
  return OfNft(Message(NftType(type), flags), family);
}

Message NftQuestion(int type, std::uint8_t family) {
  return OfNft(Message::Question(NftType(type)), family);
}

nlmsghdr* Message::raw() {
  return nlmsg_hdr(message_.get());
}

Message& Message::Append(const void* data, std::size_t size) {
  nlmsg_append(message_.get(), const_cast<void*>(data), size, NLMSG_ALIGNTO);
  return *this;
}

Message& Message::PutBytes(int attribute, const void* data, std::size_t size) {
  nla_put(message_.get(), attribute, static_cast<int>(size), data);
  return *this;
}

Message& Message::PutText(int attribute, std::string_view text) {
  const std::string terminated(text);
  return PutBytes(attribute, terminated.c_str(), terminated.size() + 1);
}

Message& Message::PutAddress(int attribute, const spec::IpAddress& address) {
  if (const auto* v6 = std::get_if<spec::Ipv6>(&address)) return Put(attribute, v6->bytes);
  return Put(attribute, htonl(std::get<spec::Ipv4>(address).value));
}

Message& Message::PutRaw(std::string_view bytes) {
  return Append(bytes.data(), bytes.size());
}

Message& Message::PutNested(int attribute, const std::function<void(Message&)>& fill) {
  nlattr* nest = nla_nest_start(message_.get(), attribute);
  fill(*this);
  if (nest != nullptr) nla_nest_end(message_.get(), nest);
  return *this;
}

std::string TextOf(const nlattr* attribute) {
  if (attribute == nullptr) return {};
  const auto* data = static_cast<const char*>(nla_data(attribute));
  return std::string(data, strnlen(data, static_cast<std::size_t>(nla_len(attribute))));
}

Netlink::Netlink(sys::Fd fd, Buffer* lent)
    : fd_(std::move(fd)),
      own_(lent == nullptr ? MakeBuffer() : nullptr),
      buffer_((lent == nullptr ? own_ : *lent).get()) {}

Netlink::Buffer Netlink::MakeBuffer() {
  return std::make_unique_for_overwrite<std::byte[]>(kBufferSize);
}

Result<Netlink> Netlink::Open(int protocol, Buffer* lent) {
  sys::Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd) return FailSys("open netlink socket", protocol == NETLINK_ROUTE ? "route" : std::to_string(protocol));
  const int on = 1;
  // All three are comforts: without them errors say less, and dumps more.
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
  if (protocol == NETLINK_ROUTE) ::setsockopt(fd.get(), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
  return Netlink(std::move(fd), lent);
}

Result<> Netlink::Send(Message& message, std::string_view operation, std::string_view subject) {
  nlmsghdr* header = message.raw();
  header->nlmsg_seq = ++sequence_;
  header->nlmsg_pid = 0;
  return SendBytes(header, header->nlmsg_len, operation, subject);
}

Result<> Netlink::SendBytes(const void* data, std::size_t size, std::string_view operation, std::string_view subject) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  while (::sendto(fd_.get(), data, size, 0, reinterpret_cast<sockaddr*>(&kernel), sizeof kernel) < 0) {
    if (errno != EINTR) return FailSys(operation, subject);
  }
  return {};
}

Result<Netlink::Completion> Netlink::Receive(std::string_view operation, std::string_view subject,
                                             const std::function<void(nlmsghdr*)>& each) {
  Completion how = Completion::kWhole;
  while (true) {
    sockaddr_nl from{};
    iovec vector{buffer_, kBufferSize};
    msghdr envelope{};
    envelope.msg_name = &from;
    envelope.msg_namelen = sizeof from;
    envelope.msg_iov = &vector;
    envelope.msg_iovlen = 1;
    const ssize_t size = ::recvmsg(fd_.get(), &envelope, 0);
    if (size < 0) {
      if (errno == EINTR) continue;
      return FailSys(operation, subject);
    }
    if (from.nl_pid != 0) continue;  // not from the kernel
    if ((envelope.msg_flags & MSG_TRUNC) != 0) {
      return Fail(ErrorCode::kInternal, operation, subject, "netlink answer longer than the buffer");
    }
    int left = static_cast<int>(size);
    for (auto* header = reinterpret_cast<nlmsghdr*>(buffer_); nlmsg_ok(header, left);
         header = nlmsg_next(header, &left)) {
      if (header->nlmsg_seq != sequence_) continue;  // of a request that was given up
      if ((header->nlmsg_flags & NLM_F_DUMP_INTR) != 0) how = Completion::kInterrupted;
      if (auto end = EndingOf(header)) {
        if (end->err != 0) return Fail(KernelError(*std::move(end), operation, subject));
        return how;
      }
      if (each) each(header);
    }
  }
}

Result<> Netlink::Do(Message& message, std::string_view operation, std::string_view subject) {
  message.raw()->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  TRY(Send(message, operation, subject));
  (void)TRY(Receive(operation, subject, nullptr));
  return {};
}

Result<> Netlink::Get(Message& message, std::string_view operation, std::string_view subject,
                      const std::function<void(nlmsghdr*)>& answer) {
  // With an acknowledgement asked for, the answer is followed by one: no guessing whether more comes.
  message.raw()->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
  TRY(Send(message, operation, subject));
  (void)TRY(Receive(operation, subject, answer));
  return {};
}

Result<> Netlink::DoBatch(std::vector<Message>& messages, std::uint8_t subsystem, std::string_view operation,
                          std::string_view subject) {
  const auto mark = [&](std::uint16_t type) {
    Message message(type, 0);
    nfgenmsg header{};
    header.res_id = htons(subsystem);
    message.Header(header);
    return message;
  };
  Message begin = mark(NFNL_MSG_BATCH_BEGIN), end = mark(NFNL_MSG_BATCH_END);
  // They have one number: what is answered first is the first error, or that the last one was done.
  ++sequence_;
  std::string bytes;
  const auto append = [&](Message& message) {
    nlmsghdr* header = message.raw();
    header->nlmsg_flags |= NLM_F_REQUEST;
    header->nlmsg_seq = sequence_;
    header->nlmsg_pid = 0;
    bytes.append(reinterpret_cast<const char*>(header), header->nlmsg_len);
    bytes.resize(NLMSG_ALIGN(bytes.size()));
  };
  if (!messages.empty()) messages.back().raw()->nlmsg_flags |= NLM_F_ACK;
  append(begin);
  for (Message& message : messages) append(message);
  append(end);
  TRY(SendBytes(bytes.data(), bytes.size(), operation, subject));
  if (!messages.empty()) (void)TRY(Receive(operation, subject, nullptr));
  return {};
}

Result<> Netlink::Dump(Message& message, std::string_view operation, const std::function<void()>& begins,
                       const std::function<void(nlmsghdr*)>& each) {
  message.raw()->nlmsg_flags |= NLM_F_REQUEST | NLM_F_DUMP;
  // After so many attempts on a busy machine the last one is taken: each message in it is right by itself.
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    begins();
    TRY(Send(message, operation, "kernel"));
    if (TRY(Receive(operation, "kernel", each)) == Completion::kWhole) break;
  }
  return {};
}

}  // namespace nucleus::netns
