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

Error NotPublic(const std::string& name, spec::Ipv4 address) {
  return Error::Of(ErrorCode::kInvalid, "look up", name,
                   "it stands for " + spec::Format(address) +
                       ", which is not an address of the internet, or one of this machine")
      .Hint("what is meant inside is written as a network: egress_allow");
}

}  // namespace

bool IsPublic(spec::Ipv4 address) {
  return std::ranges::none_of(kNotPublic, [&](const auto& net) { return spec::Contains(net, address); });
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

void NameBook::Add(Entry& entry, const std::vector<spec::Ipv4>& addresses, Millis until) {
  for (const auto& address : addresses) entry.until[address] = until;
  while (entry.until.size() > kMostOfName)
    entry.until.erase(std::ranges::min_element(entry.until, {}, [](const auto& item) { return item.second; }));
}

std::optional<Error> NameBook::Learn(const std::string& name, const Result<DnsAnswer>& answer, Millis now) {
  Entry& entry = entries_.at(name);
  std::optional<Error> wrong;
  std::vector<spec::Ipv4> addresses;
  if (answer) {
    std::ranges::copy_if(answer->addresses, std::back_inserter(addresses),
                         [&](spec::Ipv4 address) { return IsPublic(address) && !own_.contains(address); });
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

std::map<spec::Ipv4, Millis> NameBook::Addresses(Millis now) {
  std::map<spec::Ipv4, Millis> all;
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
