#include "state/parts/launch.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace nucleus {
namespace {

using rc::gen::arbitrary;

Digest AnyDigest() {
  Digest digest;
  for (auto& byte : digest.bytes) byte = *arbitrary<std::uint8_t>();
  return digest;
}

spec::HealthCheck AnyHealth() {
  spec::HealthCheck health;
  switch (*rc::gen::inRange(0, 3)) {
    case 0:
      health.probe = spec::CommandProbe{*arbitrary<std::vector<std::string>>()};
      break;
    case 1:
      health.probe = spec::TcpProbe{*arbitrary<std::uint16_t>()};
      break;
    case 2:
      health.probe = spec::HttpProbe{*arbitrary<std::uint16_t>(), *arbitrary<std::string>()};
      break;
  }
  health.interval = Duration(*arbitrary<std::int64_t>());
  health.retries = *arbitrary<std::uint32_t>();
  health.on_unhealthy = static_cast<spec::OnUnhealthy>(*rc::gen::inRange(0, 3));
  return health;
}

Policy AnyPolicy() {
  Policy policy;
  policy.restart = static_cast<spec::RestartPolicy>(*rc::gen::inRange(0, 3));
  policy.backoff_first_ms = *arbitrary<std::uint32_t>();
  policy.stop_signal = *arbitrary<std::int32_t>();
  policy.has_health = *arbitrary<bool>();
  policy.health = AnyHealth();
  policy.log_max_bytes = *arbitrary<std::uint64_t>();
  policy.digest = AnyDigest();
  return policy;
}

spec::Hooks AnyHooks() {
  const auto any = [] {
    std::vector<spec::Hook> hooks(*rc::gen::inRange<std::size_t>(0, 3));
    for (auto& hook : hooks) {
      hook.path = *arbitrary<std::string>();
      hook.args = *arbitrary<std::vector<std::string>>();
      hook.env = *arbitrary<std::vector<std::string>>();
      hook.timeout = Duration(*arbitrary<std::int64_t>());
    }
    return hooks;
  };
  return {any(), any(), any(), any(), any()};
}

MountOp AnyMount() {
  MountOp op;
  op.type = static_cast<MountOp::Type>(*rc::gen::inRange(0, 11));
  op.target = *arbitrary<std::string>();
  op.source = *arbitrary<std::string>();
  op.data = *arbitrary<std::string>();
  op.flags = *arbitrary<std::uint64_t>();
  op.mode = *arbitrary<std::uint32_t>();
  op.no_follow = *arbitrary<bool>();
  op.optional = *arbitrary<bool>();
  return op;
}

Launch AnyLaunch() {
  Launch launch;
  launch.project = *arbitrary<std::string>();
  launch.argv = *arbitrary<std::vector<std::string>>();
  launch.env = *arbitrary<std::vector<std::string>>();
  launch.identity = {*arbitrary<std::uint32_t>(), *arbitrary<std::uint32_t>(),
                     *arbitrary<std::vector<std::uint32_t>>()};
  launch.rlimits.push_back({*arbitrary<std::int32_t>(), *arbitrary<std::uint64_t>(), *arbitrary<std::uint64_t>()});
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) launch.mounts.push_back(AnyMount());
  launch.security.capabilities.bounding = *arbitrary<std::uint64_t>();
  for (int i = *rc::gen::inRange(0, 5); i > 0; --i) {
    launch.security.seccomp.push_back({*arbitrary<std::uint16_t>(), 1, 2, *arbitrary<std::uint32_t>()});
    launch.security.landlock.rules.push_back(
        {*arbitrary<std::string>(), *arbitrary<std::uint64_t>(), *arbitrary<bool>()});
  }
  launch.init = *arbitrary<bool>();
  launch.terminal = *arbitrary<bool>();
  launch.mount_audit = *arbitrary<bool>();
  launch.hooks = AnyHooks();
  launch.policy = AnyPolicy();
  return launch;
}

RC_GTEST_PROP(LaunchCodec, ReadsBackWhatItWrote, ()) {
  const Launch launch = AnyLaunch();
  const auto back = DecodeLaunch(Encode(launch));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == launch);
}

RC_GTEST_PROP(LaunchCodec, PolicyReadsBack, ()) {
  const Policy policy = AnyPolicy();
  const auto back = DecodePolicy(Encode(policy));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == policy);
}

RC_GTEST_PROP(LaunchCodec, EveryTruncationAndEveryAdditionIsRefused, ()) {
  const std::string whole = Encode(AnyLaunch());
  const auto cut = static_cast<std::size_t>(*rc::gen::inRange<int>(0, static_cast<int>(whole.size())));
  const auto shorter = DecodeLaunch(std::string_view(whole).substr(0, cut));
  RC_ASSERT(!shorter.has_value());
  RC_ASSERT(shorter.error().code == ErrorCode::kCorrupt);
  const auto longer = DecodeLaunch(whole + *arbitrary<char>());
  RC_ASSERT(!longer.has_value());
  RC_ASSERT(longer.error().code == ErrorCode::kCorrupt);
}

RC_GTEST_PROP(LaunchCodec, AFlippedByteNeverHarms, ()) {
  std::string data = Encode(AnyLaunch());
  const auto at = static_cast<std::size_t>(*rc::gen::inRange<int>(0, static_cast<int>(data.size())));
  data[at] = *arbitrary<char>();
  if (const auto back = DecodeLaunch(data)) RC_ASSERT(DecodeLaunch(Encode(*back)).has_value());
}

TEST(LaunchCodec, ANewerVersionIsUnsupportedAndAnotherTypeCorrupt) {
  std::string data = Encode(Launch{});
  EXPECT_EQ(DecodePolicy(data).error().code, ErrorCode::kCorrupt);
  data[4] = 9;
  EXPECT_EQ(DecodeLaunch(data).error().code, ErrorCode::kUnsupported);
}

TEST(LaunchCodec, AListLongerThanItsDataTakesNoMemory) {
  std::string data = Encode(Launch{});
  // project, address, id: three empty strings; 32 bytes of digest; then the count of argv.
  const std::size_t at = 5 + 3 + 32;
  data.replace(at, 1, "\xff\xff\xff\xff\x0f");
  EXPECT_EQ(DecodeLaunch(data).error().code, ErrorCode::kCorrupt);
}

RC_GTEST_PROP(StatusText, ReadsBackWhatItWrote, ()) {
  Status status;
  status.state = static_cast<Status::State>(*rc::gen::inRange(0, 6));
  status.health = static_cast<Status::Health>(*rc::gen::inRange(0, 4));
  status.id = *arbitrary<std::string>();
  status.digest = AnyDigest();
  status.workload = {*arbitrary<std::int32_t>(), *arbitrary<std::uint64_t>(), *arbitrary<std::string>(), 7};
  status.started_ms = *arbitrary<std::int64_t>();
  status.exit_code = *arbitrary<std::int32_t>();
  status.oom_killed = *arbitrary<bool>();
  status.probe_output = *arbitrary<std::string>();
  status.error = *arbitrary<std::string>();
  status.sources = *arbitrary<std::string>();
  status.network = *arbitrary<std::string>();
  status.loosened = *arbitrary<std::string>();
  const auto back = DecodeStatus(Encode(status));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == status);
}

TEST(StatusText, PassesOverUnknownKeysAndRefusesWhatIsCutOff) {
  Status status;
  status.error = "two\nlines";
  std::string text = Encode(status);
  EXPECT_FALSE(DecodeStatus(std::string_view(text).substr(0, text.size() - 2)).has_value());
  text.insert(text.size() - 4, "colour blue\n");
  ASSERT_TRUE(DecodeStatus(text).has_value());
  EXPECT_EQ(DecodeStatus(text)->error, "two\nlines");
  EXPECT_FALSE(DecodeStatus("").has_value());
  EXPECT_FALSE(DecodeStatus(std::string(100, '\0')).has_value());
}

}  // namespace
}  // namespace nucleus
