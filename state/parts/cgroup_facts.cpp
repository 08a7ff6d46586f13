// What a control group should be observed to have: its tag, and one fact a limit.
#include "state/parts/facts.hpp"

namespace nucleus {

void TellFacts(const CgroupWanted& wanted, FactSink& sink) {
  constexpr std::string_view kOwner = "owner";
  bool told = false;
  const auto tell_owner = [&] {
    if (!std::exchange(told, true)) sink.Fact(kOwner, wanted.owner_tag);
  };
  // Limits that the machine has no controller for are not among `limits` (see `unavailable`), so they are no drift.
  for (const auto& [file, value] : wanted.limits) {
    if (file > kOwner) tell_owner();
    sink.Fact(file, value);
  }
  tell_owner();
}

}  // namespace nucleus
