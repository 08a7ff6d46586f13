// Any text as a saved plan: what is accepted is written as it reads, and is not stale against itself.
#include <cstdlib>

#include "reconcile/saved_plan.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace nucleus::reconcile;
  const auto saved = DecodeSavedPlan(std::string_view(reinterpret_cast<const char*>(data), size));
  if (!saved) return 0;
  const std::string text = Encode(*saved);
  const auto again = DecodeSavedPlan(text);
  if (!again || Encode(*again) != text || !LooksLikeSavedPlan(text)) std::abort();
  const Present present{.revision = saved->base_revision,
                        .desired = saved->desired ? &*saved->desired : nullptr,
                        .seen = &saved->seen,
                        .plan = nullptr};
  if (!StaleBecause(*again, present).empty()) std::abort();
  return 0;
}
