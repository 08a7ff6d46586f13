// The facts of a part one by one, for whoever needs no map of them: a planner looks at every part of a topology, and a
// map for each is what costs most of its time. Pure.
#pragma once

#include <string_view>

#include "state/parts/parts.hpp"

namespace nucleus {

class FactSink {
 public:
  FactSink() = default;
  FactSink(const FactSink&) = delete;
  FactSink& operator=(const FactSink&) = delete;
  virtual ~FactSink() = default;
  virtual void Fact(std::string_view name, std::string_view value) = 0;
};

// The value of a fact that is seen though nobody expects it: of something that is gone, and goes without saying. A
// route that the kernel makes beside an address, say.
inline constexpr std::string_view kGoneFact = "deleted";

// What ExpectedFacts() has, each name once. Mostly in the order of the names; always in the same.
void TellFacts(const Wanted& wanted, FactSink& sink);
void TellFacts(const BridgeWanted& wanted, FactSink& sink);
void TellFacts(const FirewallWanted& wanted, FactSink& sink);
void TellFacts(const DirectoryWanted& wanted, FactSink& sink);
void TellFacts(const CgroupWanted& wanted, FactSink& sink);
void TellFacts(const NetnsWanted& wanted, FactSink& sink);
void TellFacts(const NamesWanted& wanted, FactSink& sink);
void TellFacts(const ProcessWanted& wanted, FactSink& sink);

// ExpectedFacts(wanted) == seen.
bool Matches(const Wanted& wanted, const Facts& seen);

}  // namespace nucleus
