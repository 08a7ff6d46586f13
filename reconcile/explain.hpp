// A plan as people read it: aligned columns, destroying lines first, one summary line on top.
//
//     shop: 1 replace, 1 live, 1 create · 1 drift · plan sha256:7c1e03b2a9d4…
//       -/+ service.api      replace  rootfs changed            shop.toml:31
//       !   service.web      drift    nft table missing → restore
//       ?   network.front    not readable without CAP_NET_ADMIN
//
// Pure: text out of values. Texts that come from outside (reasons, names of files) are cleaned of control characters.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "reconcile/place.hpp"
#include "reconcile/plan.hpp"

namespace nucleus::reconcile {

struct ExplainStyle {
  bool colour = false;
  bool summary_only = false;  // the first line and what is destroyed; the latter is never left out
};

// files: what Place::file indexes.
std::string Explain(const Plan& plan, std::span<const std::string> files, const ExplainStyle& style);

// "1 replace, 1 live, 1 create · 1 drift · 1 unreadable", or "nothing to do".
std::string Summary(const Plan& plan);

// What a line of the plan is counted and shown as.
enum class LineType : std::uint8_t {
  kDestroy,
  kReplace,
  kRestart,
  kSignal,
  kLive,
  kCreate,
  kAdopt,
  kDrift,
  kUnreadable,
  kNone,
};
inline constexpr std::size_t kLineTypes = static_cast<std::size_t>(LineType::kNone) + 1;
LineType LineTypeOf(const Change& change);
std::string_view LineTypeName(LineType type);
std::string_view Mark(LineType type);  // "-/+", "~", ...

struct Counts {
  std::array<std::size_t, kLineTypes> of{};
  [[nodiscard]] std::size_t Of(LineType type) const { return of[static_cast<std::size_t>(type)]; }
};
Counts CountLines(const Plan& plan);

// The first twelve digits of a plan's digest: enough for people, and for --expect.
std::string ShortDigest(const Digest& digest);

// "create service.a/cgroup", "remove service.a/netns", "wait for service.db/process (healthy)".
std::string StepWords(const Step& step);
std::string_view VerbName(Verb verb);
std::string_view ReasonName(Reason::Type type);

}  // namespace nucleus::reconcile
