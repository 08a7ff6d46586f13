// What names stand for, over time: which of them is to be looked up, and which addresses are let through for how long.
//
// A name is asked for again when its answer has had its time, within bounds. An address that is no longer among the
// answers stays for a while: whoever has learnt it from an earlier one may be about to use it, or talking to it. When
// nothing can be learnt any more, all of them go in the end.
//
// No answer leads to where a name of the internet has no business: addresses of this machine, of the link, of groups,
// and of private networks, which are written down as networks where they are meant. Whoever holds an allowed name could
// else have it stand for any of them.
//
// Pure: it is told the time, in milliseconds of a clock that goes on.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "actuators/netns/dns.hpp"

namespace nucleus::netns {

using Millis = std::int64_t;

// Between two questions for a name, whatever its answer says; and how long an address stays that is none any more.
inline constexpr Millis kSoonest = 5'000;
inline constexpr Millis kLatest = 300'000;
inline constexpr Millis kGrace = 600'000;
// After a question that had no answer; doubled each time.
inline constexpr Millis kFirstRetry = 2'000;
inline constexpr Millis kLastRetry = 60'000;
inline constexpr std::size_t kMostOfName = 256;   // addresses; those that would go first, go
inline constexpr std::size_t kMostOfAll = 4'096;  // what one message to the kernel has room for

// Whether a name may stand for it.
bool IsPublic(const spec::IpAddress& address);

class NameBook {
 public:
  explicit NameBook(const std::vector<std::string>& names);

  // The machine's own addresses, which no name may stand for.
  void Exclude(std::set<spec::IpAddress> own) { own_ = std::move(own); }
  [[nodiscard]] std::vector<std::string> Due(Millis now) const;
  [[nodiscard]] Millis NextDue() const;
  // An error to tell: the name stands for nothing, and that was not told before.
  std::optional<Error> Learn(const std::string& name, const Result<DnsAnswer>& answer, Millis now);
  // Until when each address is let through. What has had its time is forgotten.
  std::map<spec::IpAddress, Millis> Addresses(Millis now);

 private:
  struct Entry {
    std::map<spec::IpAddress, Millis> until;
    Millis due = 0;
    Millis retry = kFirstRetry;
    bool told = false;
  };
  static void Add(Entry& entry, const std::vector<spec::IpAddress>& addresses, Millis until);

  std::map<std::string, Entry> entries_;
  std::set<spec::IpAddress> own_;
};

}  // namespace nucleus::netns
