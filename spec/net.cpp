#include "spec/net.hpp"

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

}  // namespace

Result<Ipv4> ParseIpv4(std::string_view text) {
  const auto invalid = [&] {
    return Fail(Error::Invalid(text, text.find(':') != std::string_view::npos
                                         ? "IPv6 is not supported yet; write an IPv4 address such as 10.42.0.1"
                                         : "not an IPv4 address; write for example 10.42.0.1"));
  };
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
  if (text.find(':') != std::string_view::npos) {
    return Fail(Error::Invalid(text, "IPv6 is not supported yet; write an IPv4 network such as 10.42.0.0/24"));
  }
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
  if (rest.starts_with('[')) return Fail(Error::Invalid(text, "IPv6 is not supported yet"));
  const auto last = rest.rfind(':');
  if (last == std::string_view::npos) {
    return Fail(Error::Invalid(text, "not a port forward; write [ip:]host:container[/tcp|udp], as in 8080:80"));
  }
  const auto container = TRY(ParsePorts(rest.substr(last + 1), text));
  rest = rest.substr(0, last);
  if (const auto colon = rest.rfind(':'); colon != std::string_view::npos) {
    const auto address = ParseIpv4(rest.substr(0, colon));
    if (!address) return Fail(Error::Invalid(text, address.error().cause));
    // 0.0.0.0 says every address, as no address does.
    if (address->value != 0) forward.host_ip = *address;
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
  if (forward.host_ip) text = Format(*forward.host_ip) + ":";
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
  return a.protocol == b.protocol && a.host_port == b.host_port && (!a.host_ip || !b.host_ip || a.host_ip == b.host_ip);
}

}  // namespace nucleus::spec
