#define CARES_NO_DEPRECATED  // of newer ones, which Debian 12 has not
#include "actuators/netns/dns.hpp"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <poll.h>

#include <array>
#include <chrono>
#include <cstring>
#include <memory>
#include <optional>

namespace nucleus::netns {

namespace {

using Answers = std::map<std::string, std::optional<Result<DnsAnswer>>>;  // none: not yet

constexpr int kTimeout = 1'500;  // ms, of the first question to each server; doubled for the second
constexpr int kTries = 2;
constexpr std::chrono::seconds kLongest{20};

Error NoAnswer(std::string_view name, std::string_view cause) {
  return Error::Of(ErrorCode::kNotFound, "look up", name, cause);
}

struct Destroy {
  void operator()(ares_channeldata* channel) const { ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, Destroy>;

ares_addr_node NodeOf(const spec::IpAddress& server) {
  ares_addr_node node{};
  if (const auto* v4 = std::get_if<spec::Ipv4>(&server)) {
    node.family = AF_INET;
    node.addr.addr4.s_addr = htonl(v4->value);
  } else {
    node.family = AF_INET6;
    std::memcpy(&node.addr.addr6, std::get<spec::Ipv6>(server).bytes.data(), sizeof node.addr.addr6);
  }
  return node;
}

Result<Channel> Open(const std::vector<spec::IpAddress>& servers) {
  in_addr none{};  // so that those of the machine are not read; the container's come next
  ares_options options{};
  // As it is written, without the machine's search list and aliases.
  options.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES;
  options.timeout = kTimeout;
  options.tries = kTries;
  options.servers = &none;
  options.nservers = 1;
  std::array<char, 2> dns{"b"};
  options.lookups = dns.data();
  ares_channeldata* channel = nullptr;
  const int status = ares_init_options(
      &channel, &options,
      ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SERVERS | ARES_OPT_DOMAINS | ARES_OPT_LOOKUPS);
  if (status != ARES_SUCCESS) return Fail(ErrorCode::kSystem, "open", "resolver", ares_strerror(status));
  Channel opened(channel);
  std::vector<ares_addr_node> nodes;
  for (const auto& server : servers) nodes.push_back(NodeOf(server));
  for (std::size_t i = 1; i < nodes.size(); ++i) nodes[i - 1].next = &nodes[i];
  const int set = ares_set_servers(channel, nodes.data());
  if (set != ARES_SUCCESS) return Fail(ErrorCode::kSystem, "open", "resolver", ares_strerror(set));
  return opened;
}

struct Question {
  const std::string* name;
  Family family;
  Answers* answers;
  std::size_t* open;
};

// What is known of a name when another question about it is answered.
void Take(Result<DnsAnswer> fresh, std::optional<Result<DnsAnswer>>& known) {
  const auto interrupted = [](const auto& answer) { return !answer && answer.error().code == ErrorCode::kInterrupted; };
  if (!known || (!*known && fresh) || interrupted(fresh)) {
    if (!known || !interrupted(*known)) known = std::move(fresh);
  } else if (*known && fresh) {
    (*known)->addresses.insert((*known)->addresses.end(), fresh->addresses.begin(), fresh->addresses.end());
    (*known)->seconds = std::min((*known)->seconds, fresh->seconds);
  }
}

void TakeAnswer(void* data, int status, int, unsigned char* message, int size) {
  const std::unique_ptr<Question> question(static_cast<Question*>(data));
  const std::string& name = *question->name;
  --*question->open;
  Result<DnsAnswer> answer = Fail(NoAnswer(name, ares_strerror(status)));
  if (status == ARES_SUCCESS) {
    answer =
        ReadDnsAnswer({reinterpret_cast<const char*>(message), static_cast<std::size_t>(size)}, name, question->family);
  } else if (status == ARES_ECANCELLED) {
    answer = Fail(ErrorCode::kInterrupted, "look up", name, "somebody asked to stop");
  }
  Take(std::move(answer), (*question->answers)[name]);
}

// Waits for whatever comes first, and has it done.
void Step(ares_channeldata* channel, const sys::Fd* stop) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const int wanted = ares_getsock(channel, sockets.data(), ARES_GETSOCK_MAXNUM);
  std::vector<pollfd> entries;
  for (int i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
    const bool reads = ARES_GETSOCK_READABLE(wanted, i), writes = ARES_GETSOCK_WRITABLE(wanted, i);
    if (!reads && !writes) break;
    entries.push_back({sockets.at(i), static_cast<short>((reads ? POLLIN : 0) | (writes ? POLLOUT : 0)), 0});
  }
  const std::size_t count = entries.size();
  if (stop != nullptr) entries.push_back({stop->get(), POLLIN, 0});
  timeval longest{1, 0}, next{};
  const timeval* wait = ares_timeout(channel, &longest, &next);
  const auto ms = static_cast<int>(wait->tv_sec * 1'000 + wait->tv_usec / 1'000 + 1);
  if (::poll(entries.data(), entries.size(), ms) < 0 && errno != EINTR) return ares_cancel(channel);
  if (stop != nullptr && entries.back().revents != 0) return ares_cancel(channel);
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [fd, events, seen] = entries[i];
    ares_process_fd(channel, (seen & (POLLIN | POLLHUP | POLLERR)) != 0 ? fd : ARES_SOCKET_BAD,
                    (seen & (POLLOUT | POLLERR)) != 0 ? fd : ARES_SOCKET_BAD);
  }
  ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // what has waited too long
}

}  // namespace

Result<DnsAnswer> ReadDnsAnswer(std::string_view message, std::string_view name, Family family) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  const auto size = static_cast<int>(message.size());
  std::array<ares_addrttl, kMostAddresses> v4{};
  std::array<ares_addr6ttl, kMostAddresses> v6{};
  int count = kMostAddresses;
  const bool is_v4 = family == Family::kIpv4;
  const int status = is_v4 ? ares_parse_a_reply(bytes, size, nullptr, v4.data(), &count)
                           : ares_parse_aaaa_reply(bytes, size, nullptr, v6.data(), &count);
  if (status != ARES_SUCCESS) return Fail(NoAnswer(name, ares_strerror(status)));
  if (count <= 0) return Fail(NoAnswer(name, is_v4 ? "it has no IPv4 address" : "it has no IPv6 address"));
  DnsAnswer answer;
  answer.seconds = UINT32_MAX;
  const auto add = [&](const spec::IpAddress& address, int ttl) {
    answer.addresses.push_back(address);
    // Negative ones are nonsense, and short: RFC 2181, section 8.
    answer.seconds = std::min(answer.seconds, static_cast<std::uint32_t>(std::max(0, ttl)));
  };
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    spec::Ipv6 address;
    std::memcpy(address.bytes.data(), &v6.at(i).ip6addr, sizeof address.bytes);
    is_v4 ? add(spec::Ipv4{ntohl(v4.at(i).ipaddr.s_addr)}, v4.at(i).ttl) : add(address, v6.at(i).ttl);
  }
  return answer;
}

std::map<std::string, Result<DnsAnswer>> LookUp(const std::vector<std::string>& names,
                                                const std::vector<spec::IpAddress>& servers, bool v6,
                                                const sys::Fd* stop) {
  std::map<std::string, Result<DnsAnswer>> told;
  if (names.empty()) return told;
  auto channel =
      servers.empty() ? Fail(ErrorCode::kInvalid, "open", "resolver", "there are no name servers") : Open(servers);
  if (!channel) {
    for (const auto& name : names) told.insert_or_assign(name, Fail(channel.error()));
    return told;
  }
  Answers answers;
  std::size_t open = 0;
  const auto ask = [&](const std::string& name, Family family) {
    ++open;
    auto question = std::make_unique<Question>(&name, family, &answers, &open);
    ares_query(channel->get(), name.c_str(), ns_c_in, family == Family::kIpv4 ? ns_t_a : ns_t_aaaa, TakeAnswer,
               question.release());  // always calls it
  };
  for (const auto& name : names) {
    ask(name, Family::kIpv4);
    if (v6) ask(name, Family::kIpv6);
  }
  const auto end = std::chrono::steady_clock::now() + kLongest;
  while (open > 0) {
    if (std::chrono::steady_clock::now() > end) ares_cancel(channel->get());
    Step(channel->get(), stop);
  }
  for (auto& [name, answer] : answers) {
    if (answer) told.insert_or_assign(name, *std::move(answer));
  }
  return told;
}

}  // namespace nucleus::netns
