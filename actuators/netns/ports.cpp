#include "actuators/netns/ports.hpp"

#include <arpa/inet.h>
#include <dirent.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <memory>
#include <optional>

#include "actuators/sys/file.hpp"
#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

// Listening TCP; a bound UDP socket without a peer. net/tcp_states.h: TCP_LISTEN, TCP_CLOSE.
constexpr std::string_view kTcpListening = "0A";
constexpr std::string_view kUdpBound = "07";

constexpr std::size_t kTableLimit = 256 << 20;  // a machine with a million connections

std::vector<std::string_view> Words(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const auto end = std::min(line.find_first_of(" \t"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <class Number>
std::optional<Number> Parse(std::string_view text, int base) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The kernel prints addresses as 32-bit words in its own byte order.
std::optional<std::vector<std::uint32_t>> AddressWords(std::string_view text) {
  std::vector<std::uint32_t> words;
  for (; text.size() >= 8; text.remove_prefix(8)) {
    const auto word = Parse<std::uint32_t>(text.substr(0, 8), 16);
    if (!word) return std::nullopt;
    words.push_back(ntohl(*word));
  }
  if (!text.empty()) return std::nullopt;
  return words;
}

std::optional<Listener> ParseLine(std::string_view line, spec::Protocol protocol, bool v6) {
  const auto words = Words(line);
  if (words.size() < 10) return std::nullopt;
  if (words[3] != (protocol == spec::Protocol::kTcp ? kTcpListening : kUdpBound)) return std::nullopt;
  const auto colon = words[1].find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto address = AddressWords(words[1].substr(0, colon));
  const auto port = Parse<std::uint16_t>(words[1].substr(colon + 1), 16);
  const auto inode = Parse<std::uint64_t>(words[9], 10);
  if (!address || !port || !inode || address->size() != (v6 ? 4U : 1U)) return std::nullopt;
  Listener listener;
  listener.protocol = protocol;
  listener.v6 = v6;
  listener.port = *port;
  listener.inode = *inode;
  const auto& a = *address;
  if (!v6) {
    listener.address = spec::Ipv4{a[0]};
    listener.any = a[0] == 0;
  } else if (a[0] == 0 && a[1] == 0 && a[2] == 0xffff) {
    listener.address = spec::Ipv4{a[3]};
    listener.any = a[3] == 0;
  } else if (a[0] == 0 && a[1] == 0 && a[2] == 0 && a[3] == 0) {
    // Whether it takes IPv4 too (IPV6_V6ONLY) the table does not say; most do.
    listener.any = true;
  } else {
    spec::Ipv6 address6;
    for (std::size_t i = 0; i < address6.bytes.size(); ++i)
      address6.bytes[i] = static_cast<std::uint8_t>(a[i / 4] >> (24 - 8 * (i % 4)));
    listener.address = address6;
  }
  return listener;
}

std::string AddressText(const Listener& listener) {
  const std::string address = spec::Format(listener.address);
  const std::string host = listener.v6 && listener.any    ? "[::]"
                           : spec::IsV6(listener.address) ? "[" + address + "]"
                                                          : address;
  return host + ":" + std::to_string(listener.port);
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

std::string LinkTarget(const std::string& path) {
  std::array<char, 64> target{};
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return size <= 0 ? std::string() : std::string(target.data(), static_cast<std::size_t>(size));
}

bool Holds(const std::string& process, const std::string& socket) {
  const std::unique_ptr<DIR, CloseDir> fds(::opendir((process + "/fd").c_str()));
  if (!fds) return false;
  while (const dirent* entry = ::readdir(fds.get())) {
    if (entry->d_name[0] != '.' && LinkTarget(process + "/fd/" + entry->d_name) == socket) return true;
  }
  return false;
}

// Goes through all processes: only done once a port is known to be held.
void FindProcess(std::uint64_t inode, PortHolder& holder) {
  const std::string socket = "socket:[" + std::to_string(inode) + "]";
  const std::unique_ptr<DIR, CloseDir> processes(::opendir("/proc"));
  if (!processes) return;
  while (const dirent* entry = ::readdir(processes.get())) {
    const auto pid = Parse<int>(entry->d_name, 10);
    if (!pid) continue;
    const std::string process = std::string("/proc/") + entry->d_name;
    if (!Holds(process, socket)) continue;
    holder.pid = *pid;
    if (auto command = sys::ReadFile(process + "/comm")) {
      holder.command = command->substr(0, command->find('\n'));
    }
    return;
  }
}

}  // namespace

std::string PortHolder::Text() const {
  const auto host = port.host_ip.value_or(spec::IpAddress());
  const auto address_text = spec::IsV6(host) ? "[" + spec::Format(host) + "]" : spec::Format(host);
  std::string text = address_text + ":" + std::to_string(port.host_port) +
                     (port.protocol == spec::Protocol::kTcp ? "/tcp" : "/udp") + " is held by ";
  text += pid == 0 ? "a process that could not be found" : command + " (pid " + std::to_string(pid) + ")";
  return text + ", which listens on " + address;
}

std::vector<Listener> ParseSockets(std::string_view text, spec::Protocol protocol, bool v6) {
  std::vector<Listener> listeners;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    if (auto listener = ParseLine(text.substr(0, end), protocol, v6)) listeners.push_back(*listener);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return listeners;
}

bool Collides(const Listener& listener, const spec::PortForward& port) {
  if (listener.protocol != port.protocol || listener.port != port.host_port) return false;
  // Without an address named, one of IPv6 is none that IPv4 would be taken from.
  const bool v6 = port.host_ip && spec::IsV6(*port.host_ip);
  if (listener.any) return listener.v6 || !v6;
  if (spec::IsV6(listener.address) != v6) return false;
  return !port.host_ip || spec::IsUnspecified(*port.host_ip) || listener.address == *port.host_ip;
}

Result<std::vector<PortHolder>> PortHolders(const std::vector<spec::PortForward>& wanted) {
  std::vector<PortHolder> holders;
  if (wanted.empty()) return holders;
  struct Table {
    const char* path;
    spec::Protocol protocol;
    bool v6;
  };
  constexpr Table kTables[] = {{"/proc/net/tcp", spec::Protocol::kTcp, false},
                               {"/proc/net/tcp6", spec::Protocol::kTcp, true},
                               {"/proc/net/udp", spec::Protocol::kUdp, false},
                               {"/proc/net/udp6", spec::Protocol::kUdp, true}};
  std::vector<Listener> listeners;
  for (const auto& table : kTables) {
    const auto text = TRY(sys::ReadFileIfThere(table.path, kTableLimit));
    if (!text) continue;  // a kernel without IPv6
    for (const auto& listener : ParseSockets(*text, table.protocol, table.v6)) listeners.push_back(listener);
  }
  for (const auto& port : wanted) {
    for (const auto& listener : listeners) {
      if (!Collides(listener, port)) continue;
      PortHolder holder;
      holder.port = port;
      holder.address = AddressText(listener);
      FindProcess(listener.inode, holder);
      holders.push_back(std::move(holder));
      break;
    }
  }
  return holders;
}

}  // namespace nucleus::netns
