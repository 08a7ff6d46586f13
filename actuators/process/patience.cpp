#include "actuators/process/patience.hpp"

#include <algorithm>
#include <optional>
#include <vector>

#include "actuators/sys/file.hpp"
#include "spec/core/names.hpp"

namespace nucleus::process {

namespace {

constexpr Duration kTreeTime{600'000};

std::optional<Launch> LaunchOf(const std::string& directory) {
  const auto text = sys::ReadFile(directory + "/" + std::string(kLaunchFile));
  auto launch = text ? DecodeLaunch(*text) : Fail(text.error());
  return launch ? std::optional(*std::move(launch)) : std::nullopt;
}

Duration TimeOf(const std::vector<spec::Hook>& hooks) {
  constexpr Duration kToBeKilled{2'000};
  Duration time{0};
  for (const spec::Hook& hook : hooks) time += hook.timeout + kToBeKilled;
  return time;
}

}  // namespace

Duration StopTimeoutOf(const std::string& directory) {
  if (const auto text = sys::ReadFile(directory + "/" + std::string(kPolicyFile))) {
    const auto policy = DecodePolicy(*text);
    if (policy) return Duration(policy->stop_timeout_ms);
  }
  const auto launch = LaunchOf(directory);
  return Duration(launch ? launch->policy.stop_timeout_ms : Policy().stop_timeout_ms);
}

Duration PoststopTimeOf(const std::string& directory) {
  const auto launch = LaunchOf(directory);
  return launch ? TimeOf(launch->hooks.poststop) : Duration{0};
}

Duration AttentionTimeOf(const std::string& directory) {
  constexpr Duration kOrdinary{5'000};
  const auto launch = LaunchOf(directory);
  if (!launch) return kOrdinary;
  const spec::Hooks& hooks = launch->hooks;
  Duration time = kOrdinary + (TakesLong(*launch) ? kTreeTime : Duration{0});
  for (const auto* point :
       {&hooks.poststop, &hooks.create_runtime, &hooks.create_container, &hooks.start_container, &hooks.poststart})
    time += TimeOf(*point);
  return time;
}

bool TakesLong(const Launch& launch) {
  return std::ranges::any_of(launch.mounts,
                             [](const MountOp& op) { return op.type == MountOp::Type::kContext || op.verify; });
}

}  // namespace nucleus::process
