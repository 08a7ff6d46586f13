#include "spec/net.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

namespace nucleus::spec {

namespace {

// Inclusive.
struct PortRange {
  std::uint16_t first = 0;
  std::uint16_t last = 0;
};

Result<std::uint16_t> ParsePort(std::string_view text, std::string_view whole) {
  const auto port = ParseUnsigned(text);
  if (!port || *port == 0 || *port > 65535) {
    return Fail(Error::Invalid(whole, "port '" + std::string(text) + "' is not a number from 1 to 65535"));
  }
  return static_cast<std::uint16_t>(*port);
}

Result<PortRange> ParsePorts(std::string_view text, std::string_view whole) {
  const auto dash = text.find('-');
  PortRange range;
  range.first = TRY(ParsePort(text.substr(0, dash), whole));
  range.last = dash == std::string_view::npos ? range.first : TRY(ParsePort(text.substr(dash + 1), whole));
  if (range.last < range.first) return Fail(Error::Invalid(whole, "the port range ends before it begins"));
  return range;
}

std::uint32_t Mask(std::uint8_t prefix) {
  return prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - prefix);
}

// Without the bits beyond the prefix.
Ipv6 Masked(Ipv6 address, std::uint8_t prefix) {
  for (std::size_t i = 0; i < address.bytes.size(); ++i) {
    const int kept = std::clamp(static_cast<int>(prefix) - static_cast<int>(8 * i), 0, 8);
    address.bytes[i] &= static_cast<std::uint8_t>(0xff00 >> kept);
  }
  return address;
}

}  // namespace

Result<Ipv4> ParseIpv4(std::string_view text) {
  const auto invalid = [&] { return Fail(Error::Invalid(text, "not an IPv4 address; write for example 10.42.0.1")); };
  Ipv4 address;
  std::string_view rest = text;
  for (int part = 0; part < 4; ++part) {
    const auto dot = part < 3 ? rest.find('.') : rest.size();
    if (dot == std::string_view::npos) return invalid();
    const auto digits = rest.substr(0, dot);
    const auto value = ParseUnsigned(digits);
    // A leading zero means octal to inet_aton(3), decimal to others: refused.
    if (!value || *value > 255 || (digits.size() > 1 && digits.front() == '0')) return invalid();
    address.value = address.value << 8 | static_cast<std::uint32_t>(*value);
    rest.remove_prefix(part < 3 ? dot + 1 : dot);
  }
  return address;
}

Result<Ipv4Net> ParseIpv4Net(std::string_view text) {
  const auto slash = text.find('/');
  const auto prefix = slash == std::string_view::npos ? ParseUnsigned("") : ParseUnsigned(text.substr(slash + 1));
  const auto base = ParseIpv4(text.substr(0, slash));
  if (!base || !prefix || *prefix > 32) {
    return Fail(Error::Invalid(text, "not a network; write an address and a prefix length, as in 10.42.0.0/24"));
  }
  const Ipv4Net net{*base, static_cast<std::uint8_t>(*prefix)};
  if ((net.base.value & ~Mask(net.prefix)) != 0) {
    const Ipv4Net meant{{net.base.value & Mask(net.prefix)}, net.prefix};
    return Fail(
        Error::Invalid(text, "the address has bits set beyond the prefix; did you mean " + Format(meant) + "?"));
  }
  return net;
}

Result<Ipv6> ParseIpv6(std::string_view text) {
  Ipv6 address;
  const std::string terminated(text);
  if (text.find('\0') != std::string_view::npos ||
      ::inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) != 1) {
    return Fail(Error::Invalid(text, "not an IPv6 address; write for example fd00:42::1"));
  }
  constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), address.bytes.begin())) {
    return Fail(Error::Invalid(text, "an IPv4 address mapped into IPv6; write it as IPv4"));
  }
  return address;
}

Result<Ipv6Net> ParseIpv6Net(std::string_view text) {
  const auto slash = text.find('/');
  const auto prefix = slash == std::string_view::npos ? ParseUnsigned("") : ParseUnsigned(text.substr(slash + 1));
  const auto base = ParseIpv6(text.substr(0, slash));
  if (!base || !prefix || *prefix > 128) {
    return Fail(Error::Invalid(text, "not a network; write an address and a prefix length, as in fd00:42::/64"));
  }
  const Ipv6Net net{Masked(*base, static_cast<std::uint8_t>(*prefix)), static_cast<std::uint8_t>(*prefix)};
  if (net.base != *base) {
    return Fail(Error::Invalid(text, "the address has bits set beyond the prefix; did you mean " + Format(net) + "?"));
  }
  return net;
}

Result<IpAddress> ParseIpAddress(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return TRY(ParseIpv6(text));
  const auto address = ParseIpv4(text);
  if (!address) return Fail(Error::Invalid(text, "not an address; write for example 10.42.0.1 or fd00:42::1"));
  return *address;
}

Result<IpNet> ParseIpNet(std::string_view text) {
  if (text.find(':') != std::string_view::npos) return TRY(ParseIpv6Net(text));
  return TRY(ParseIpv4Net(text));
}

std::string Format(Ipv4 address) {
  std::array<char, 15> text{};
  char* at = text.data();
  for (int shift = 24; shift >= 0; shift -= 8) {
    at = std::to_chars(at, text.data() + text.size(), address.value >> shift & 255).ptr;
    if (shift > 0) *at++ = '.';
  }
  return {text.data(), at};
}

std::string Format(const Ipv4Net& net) {
  return Format(net.base) + "/" + std::to_string(net.prefix);
}

bool Overlap(const Ipv4Net& a, const Ipv4Net& b) {
  const std::uint32_t mask = Mask(a.prefix < b.prefix ? a.prefix : b.prefix);
  return (a.base.value & mask) == (b.base.value & mask);
}

bool Contains(const Ipv4Net& net, Ipv4 address) {
  return (address.value & Mask(net.prefix)) == net.base.value;
}

Ipv4 Broadcast(const Ipv4Net& net) {
  return {net.base.value | ~Mask(net.prefix)};
}

std::string Format(const Ipv6& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  ::inet_ntop(AF_INET6, address.bytes.data(), text.data(), text.size());
  return text.data();
}

std::string Format(const Ipv6Net& net) {
  return Format(net.base) + "/" + std::to_string(net.prefix);
}

std::string Format(const IpAddress& address) {
  return std::visit([](const auto& value) { return Format(value); }, address);
}

std::string Format(const IpNet& net) {
  return std::visit([](const auto& value) { return Format(value); }, net);
}

bool Overlap(const Ipv6Net& a, const Ipv6Net& b) {
  const std::uint8_t prefix = std::min(a.prefix, b.prefix);
  return Masked(a.base, prefix) == Masked(b.base, prefix);
}

bool Contains(const Ipv6Net& net, const Ipv6& address) {
  return Masked(address, net.prefix) == net.base;
}

Ipv4Net NetOf(Ipv4 address, std::uint8_t prefix) {
  return {{address.value & Mask(prefix)}, prefix};
}

Ipv6Net NetOf(const Ipv6& address, std::uint8_t prefix) {
  return {Masked(address, prefix), prefix};
}

Ipv6 Counterpart(Ipv4 address, const Ipv4Net& from, const Ipv6Net& to) {
  Ipv6 counterpart = to.base;
  const std::uint32_t offset = address.value - from.base.value;
  for (std::size_t i = 0; i < sizeof offset; ++i) {
    counterpart.bytes[counterpart.bytes.size() - 1 - i] |= static_cast<std::uint8_t>(offset >> (8 * i));
  }
  return counterpart;
}

bool IsLinkLocal(const Ipv6& address) {
  return address.bytes[0] == 0xfe && (address.bytes[1] & 0xc0) == 0x80;
}

bool IsUniqueLocal(const Ipv6& address) {
  return (address.bytes[0] & 0xfe) == 0xfc;
}

bool IsV6(const IpAddress& address) {
  return std::holds_alternative<Ipv6>(address);
}

bool IsUnspecified(const IpAddress& address) {
  return address == IpAddress(Ipv4{}) || address == IpAddress(Ipv6{});
}

bool IsLoopback(const IpAddress& address) {
  if (const auto* v4 = std::get_if<Ipv4>(&address)) return v4->value >> 24 == 127;
  Ipv6 loopback;
  loopback.bytes.back() = 1;
  return std::get<Ipv6>(address) == loopback;
}

Result<std::vector<PortForward>> ParsePortForwards(std::string_view text) {
  std::string_view rest = text;
  PortForward forward;
  if (const auto slash = rest.rfind('/'); slash != std::string_view::npos) {
    const auto protocol = rest.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp") {
      return Fail(Error::Invalid(text, "protocol '" + std::string(protocol) + "' is neither tcp nor udp"));
    }
    forward.protocol = protocol == "tcp" ? Protocol::kTcp : Protocol::kUdp;
    rest = rest.substr(0, slash);
  }
  if (rest.starts_with('[')) {
    const auto end = rest.find("]:");
    if (end == std::string_view::npos) {
      return Fail(
          Error::Invalid(text, "not a port forward; write [[ip]:]host:container[/tcp|udp], as in [::]:8080:80"));
    }
    const auto address = ParseIpv6(rest.substr(1, end - 1));
    if (!address) return Fail(Error::Invalid(text, address.error().cause));
    forward.host_ip = *address;
    rest = rest.substr(end + 2);
  }
  const auto last = rest.rfind(':');
  if (last == std::string_view::npos) {
    return Fail(Error::Invalid(text, "not a port forward; write [ip:]host:container[/tcp|udp], as in 8080:80"));
  }
  const auto container = TRY(ParsePorts(rest.substr(last + 1), text));
  rest = rest.substr(0, last);
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    const auto address = ParseIpv4(rest.substr(0, colon));
    if (!address) return Fail(Error::Invalid(text, address.error().cause));
    if (forward.host_ip) return Fail(Error::Invalid(text, "two addresses where one is expected"));
    forward.host_ip = *address;
    rest = rest.substr(colon + 1);
  }
  const auto host = TRY(ParsePorts(rest, text));
  if (host.last - host.first != container.last - container.first) {
    return Fail(Error::Invalid(text, "the two port ranges differ in length"));
  }
  std::vector<PortForward> forwards;
  for (std::uint32_t i = 0; i <= static_cast<std::uint32_t>(host.last - host.first); ++i) {
    forward.host_port = static_cast<std::uint16_t>(host.first + i);
    forward.container_port = static_cast<std::uint16_t>(container.first + i);
    forwards.push_back(forward);
  }
  return forwards;
}

Result<PortForward> ParsePortForward(std::string_view text) {
  const auto forwards = TRY(ParsePortForwards(text));
  if (forwards.size() != 1) return Fail(Error::Invalid(text, "a range of ports where one is expected"));
  return forwards.front();
}

std::string Format(const PortForward& forward) {
  std::string text;
  if (forward.host_ip) {
    const std::string address = Format(*forward.host_ip);
    text = (IsV6(*forward.host_ip) ? "[" + address + "]" : address) + ":";
  }
  text += std::to_string(forward.host_port) + ":" + std::to_string(forward.container_port);
  switch (forward.protocol) {
    case Protocol::kTcp:
      return text + "/tcp";
    case Protocol::kUdp:
      return text + "/udp";
  }
  return text;
}

bool Collide(const PortForward& a, const PortForward& b) {
  if (a.protocol != b.protocol || a.host_port != b.host_port) return false;
  if (!a.host_ip || !b.host_ip || a.host_ip == b.host_ip) return true;
  return IsV6(*a.host_ip) == IsV6(*b.host_ip) && (IsUnspecified(*a.host_ip) || IsUnspecified(*b.host_ip));
}

}  // namespace nucleus::spec
