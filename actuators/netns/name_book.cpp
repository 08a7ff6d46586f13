#include "actuators/netns/name_book.hpp"

#include <algorithm>
#include <array>

#include "spec/net.hpp"

namespace nucleus::netns {

namespace {

constexpr spec::Ipv4Net Net(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint8_t prefix) {
  return {{a << 24 | b << 16 | c << 8}, prefix};
}

// IANA's special-purpose addresses that lead somewhere, or that somebody has given a meaning of his own; groups and
// what is beyond them. Those for documentation lead nowhere.
constexpr std::array kNotPublic = {Net(0, 0, 0, 8),      Net(10, 0, 0, 8),    Net(100, 64, 0, 10), Net(127, 0, 0, 8),
                                   Net(169, 254, 0, 16), Net(172, 16, 0, 12), Net(192, 0, 0, 24),  Net(192, 168, 0, 16),
                                   Net(198, 18, 0, 15),  Net(224, 0, 0, 3)};

// Of IPv6, what IANA has given out as addresses of the internet, without those that stand for an IPv4 address (Teredo
// and what else is in its /23, 6to4), whichever that is.
constexpr spec::Ipv6Net kGlobal{{{0x20}}, 3};
constexpr std::array kNotGlobal = {spec::Ipv6Net{{{0x20, 0x01}}, 23}, spec::Ipv6Net{{{0x20, 0x02}}, 16}};

Error NotPublic(const std::string& name, const spec::IpAddress& address) {
  return Error::Of(ErrorCode::kInvalid, "look up", name,
                   "it stands for " + spec::Format(address) +
                       ", which is not an address of the internet, or one of this machine")
      .Hint("what is meant inside is written as a network: egress_allow");
}

}  // namespace

bool IsPublic(const spec::IpAddress& address) {
  const auto within = [&](const auto& nets, const auto& one) {
    return std::ranges::any_of(nets, [&](const auto& net) { return spec::Contains(net, one); });
  };
  if (const auto* v6 = std::get_if<spec::Ipv6>(&address))
    return spec::Contains(kGlobal, *v6) && !within(kNotGlobal, *v6);
  return !within(kNotPublic, std::get<spec::Ipv4>(address));
}

NameBook::NameBook(const std::vector<std::string>& names) {
  for (const auto& name : names) entries_.try_emplace(name);
}

std::vector<std::string> NameBook::Due(Millis now) const {
  std::vector<std::string> due;
  for (const auto& [name, entry] : entries_) {
    if (entry.due <= now) due.push_back(name);
  }
  return due;
}

Millis NameBook::NextDue() const {
  Millis next = INT64_MAX;
  for (const auto& [name, entry] : entries_) next = std::min(next, entry.due);
  return next;
}

void NameBook::Add(Entry& entry, const std::vector<spec::IpAddress>& addresses, Millis until) {
  for (const auto& address : addresses) entry.until[address] = until;
  while (entry.until.size() > kMostOfName)
    entry.until.erase(std::ranges::min_element(entry.until, {}, [](const auto& item) { return item.second; }));
}

std::optional<Error> NameBook::Learn(const std::string& name, const Result<DnsAnswer>& answer, Millis now) {
  Entry& entry = entries_.at(name);
  std::optional<Error> wrong;
  std::vector<spec::IpAddress> addresses;
  if (answer) {
    std::ranges::copy_if(answer->addresses, std::back_inserter(addresses),
                         [&](const auto& address) { return IsPublic(address) && !own_.contains(address); });
    if (addresses.empty()) wrong = NotPublic(name, answer->addresses.front());
  } else {
    wrong = answer.error();
  }
  if (!wrong) {
    const Millis time = std::clamp(Millis{answer->seconds} * 1'000, kSoonest, kLatest);
    entry.due = now + time;
    entry.retry = kFirstRetry;
    entry.told = false;
    Add(entry, addresses, entry.due + kGrace);
    return std::nullopt;
  }
  entry.due = now + entry.retry;
  entry.retry = std::min(entry.retry * 2, kLastRetry);
  std::erase_if(entry.until, [&](const auto& item) { return item.second <= now; });
  if (!entry.until.empty() || entry.told) return std::nullopt;
  entry.told = true;
  return wrong;
}

std::map<spec::IpAddress, Millis> NameBook::Addresses(Millis now) {
  std::map<spec::IpAddress, Millis> all;
  for (auto& [name, entry] : entries_) {
    std::erase_if(entry.until, [&](const auto& item) { return item.second <= now; });
    for (const auto& [address, until] : entry.until) {
      if (own_.contains(address)) continue;
      if (all.size() >= kMostOfAll && !all.contains(address)) continue;
      Millis& latest = all[address];
      latest = std::max(latest, until);
    }
  }
  return all;
}

}  // namespace nucleus::netns
