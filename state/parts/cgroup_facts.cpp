// What a control group should be observed to have: its tag, and one fact a limit.
#include "state/parts/parts.hpp"

namespace nucleus {

Facts ExpectedFacts(const CgroupWanted& wanted) {
  // Limits that the machine has no controller for are not among `limits` (see `unavailable`), so they are no drift.
  Facts facts = wanted.limits;
  facts["owner"] = wanted.owner_tag;
  return facts;
}

}  // namespace nucleus
