// Traces, and the profiles made from them.
#include "policy/seccomp_trace.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "policy/seccomp_resolve.hpp"
#include "policy/testing.hpp"

namespace nucleus::policy {
namespace {

using testing::Lines;

Trace Read(std::string_view text) {
  const auto read = ReadTrace(text, "t.ndjson");
  EXPECT_TRUE(read.trace) << Lines(read.problems);
  return read.trace.value_or(Trace{});
}

TEST(SeccompTrace, AddsUpLines) {
  const Trace trace = Read(R"({"syscall":0,"name":"read","count":2}

{"syscall":41,"name":"socket","count":1,"args":{"0":[2,1,2],"1":[1]}}
{"syscall":0,"name":"read","count":18446744073709551615}
{"syscall":41,"name":"socket","count":4,"args":{"0":[10]}})");
  EXPECT_EQ(trace.at("read"), (TracedCall{0, UINT64_MAX, {}}));
  EXPECT_EQ(trace.at("socket"), (TracedCall{41, 5, {{0, {1, 2, 10}}}}));
}

TEST(SeccompTrace, TellsAllProblems) {
  EXPECT_EQ(Lines(ReadTrace(R"({"syscall":0,"name":"read"}
{"syscall":0,"name":"read","count":1,"pid":7}
nonsense
{"syscall":999,"name":"","count":1}
{"syscall":1,"name":"write","count":-1,"args":{"7":[],"0":1}}
[]
{"syscall":1,"name":"w","count":1}
{"syscall":2,"name":"w","count":1}
)",
                            "t.ndjson")
                      .problems)
                .substr(0, 118),
            R"(t.ndjson:1:1: /count: it is missing
t.ndjson:2:38: /: unknown key 'pid'
t.ndjson:3:2: not JSON: syntax error while par)");
  const auto read =
      ReadTrace("{\"syscall\":1,\"name\":\"w\",\"count\":1}\n{\"syscall\":2,\"name\":\"w\",\"count\":1}\n", "t");
  EXPECT_EQ(Lines(read.problems), "t:2:12: /syscall: w is 2 here, and was 1\n");
  EXPECT_FALSE(read.trace);
}

TEST(SeccompTrace, OtherAbisBecomeArchitecturesOfTheProfile) {
  const Trace trace = Read(R"({"syscall":0,"name":"read","count":2,"abis":["x86"]}
{"syscall":41,"name":"socket","count":1,"args":{"0":[2]}})");
  EXPECT_EQ(trace.at("read").abis, std::set{SeccompArch::kX86});
  EXPECT_EQ(Read(TraceLine("read", trace.at("read"))).at("read"), trace.at("read"));
  EXPECT_EQ(GenerateSeccomp(trace, {}).architectures, (std::vector{SeccompArch::kX86_64, SeccompArch::kX86}));
  EXPECT_TRUE(GenerateSeccomp(Read(R"({"syscall":0,"name":"read","count":2})"), {}).architectures.empty());
  EXPECT_FALSE(ReadTrace(R"({"syscall":0,"name":"read","count":2,"abis":["mips"]})", "t").trace);
}

TEST(SeccompTrace, ATornLastLineIsAWarning) {
  const auto read = ReadTrace("{\"syscall\":0,\"name\":\"read\",\"count\":2}\n{\"syscall\":1,\"na", "t");
  ASSERT_TRUE(read.trace);
  EXPECT_EQ(read.trace->size(), 1U);
  EXPECT_EQ(Lines(read.problems), "t:2:1: warning: the trace ends in the midst of a line, which is passed over\n");
  EXPECT_FALSE(ReadTrace("{\"syscall\":1,\"na\n{\"syscall\":0,\"name\":\"read\",\"count\":2}\n", "t").trace);
  EXPECT_TRUE(Read("").empty());
}

TEST(SeccompTrace, MakesASmallSortedProfile) {
  const Trace trace = Read(R"({"syscall":1,"name":"write","count":9}
{"syscall":41,"name":"socket","count":1,"args":{"0":[2,10]}}
{"syscall":16,"name":"ioctl","count":1,"args":{"1":[4294988802]}}
{"syscall":0,"name":"read","count":2}
)");
  EXPECT_EQ(SeccompProfileJson(GenerateSeccomp(trace, {.architectures = {SeccompArch::kX86_64}})), R"({
  "defaultAction": "SCMP_ACT_KILL_PROCESS",
  "architectures": [
    "SCMP_ARCH_X86_64"
  ],
  "syscalls": [
    {
      "names": [
        "ioctl",
        "read",
        "socket",
        "write"
      ],
      "action": "SCMP_ACT_ALLOW"
    }
  ]
}
)");
  const SeccompProfile narrow = GenerateSeccomp(trace, {.architectures = {}, .arguments = true});
  ASSERT_EQ(narrow.rules.size(), 4U);
  EXPECT_EQ(narrow.rules[1].names[0].text, "ioctl");
  EXPECT_EQ(narrow.rules[1].args[0], (SeccompArg{1, SeccompOp::kMaskedEqual, UINT32_MAX, 21506}));
  EXPECT_EQ(narrow.rules[3].args[0], (SeccompArg{0, SeccompOp::kMaskedEqual, UINT32_MAX, 10}));
}

TEST(SeccompTrace, ArgumentsNotAlwaysSeenMakeNoCondition) {
  const Trace traces[] = {Read(R"({"syscall":41,"name":"socket","count":1,"args":{"0":[2]}})"),
                          Read(R"({"syscall":41,"name":"socket","count":1})")};
  const auto merged = MergeTraces(traces);
  ASSERT_TRUE(merged);
  EXPECT_EQ(GenerateSeccomp(*merged, {.architectures = {}, .arguments = true}).rules.size(), 1U);
  EXPECT_TRUE(GenerateSeccomp(*merged, {.architectures = {}, .arguments = true}).rules[0].args.empty());
  const Trace other[] = {traces[0], Read(R"({"syscall":359,"name":"socket","count":1})")};
  EXPECT_EQ(MergeTraces(other).error().Message(), "merge traces socket: its number is 41 in one and 359 in another");
}

rc::Gen<Trace> SomeTrace() {
  return rc::gen::exec([] {
    Trace trace;
    const std::vector<std::string> names{"read", "write", "socket", "ioctl", "clone"};
    for (std::uint64_t i = 0; i < names.size(); ++i) {
      if (!*rc::gen::arbitrary<bool>()) continue;
      TracedCall call{i, *rc::gen::arbitrary<std::uint64_t>(), {}};
      if (*rc::gen::arbitrary<bool>()) {
        const auto values = *rc::gen::arbitrary<std::set<std::uint64_t>>();
        call.args[*rc::gen::inRange(0U, 3U)] = {values.begin(), values.end()};
      }
      trace[names[i]] = call;
    }
    return trace;
  });
}

RC_GTEST_PROP(SeccompTrace, LinesReadBack, ()) {
  const Trace trace = *SomeTrace();
  std::string text;
  for (const auto& [name, call] : trace) text += TraceLine(name, call);
  RC_ASSERT(ReadTrace(text, "t").trace == trace);
}

RC_GTEST_PROP(SeccompTrace, MergingHasNoOrderAndItsProfileAllowsAllThatWasSeen, ()) {
  const std::vector<Trace> traces{*SomeTrace(), *SomeTrace(), *SomeTrace()};
  const auto merged = MergeTraces(traces);
  const auto backwards = MergeTraces(std::vector<Trace>{traces.rbegin(), traces.rend()});
  RC_ASSERT(merged.has_value() && backwards.has_value());
  RC_ASSERT(*merged == *backwards);
  const GenerateOptions options{.architectures = {}, .arguments = true};
  const SeccompProfile profile = GenerateSeccomp(*merged, options);
  const auto again = ReadSeccompProfile(SeccompProfileJson(profile), "p.json");
  RC_ASSERT(again.profile.has_value() && *again.profile == profile);
  const auto resolution = ResolveSeccomp(profile, {});
  RC_ASSERT(resolution.profile.has_value() && resolution.problems.empty());
  for (const auto& trace : traces) {
    for (const auto& [name, call] : trace) {
      std::array<std::uint64_t, 6> args{};
      if (call.args.empty()) RC_ASSERT(resolution.profile->calls.at(name).front().args.empty());
      for (const auto& [index, values] : call.args) {
        for (const std::uint64_t value : values) {
          args[index] = value;
          // The value of another argument was not seen.
          if (resolution.profile->calls.at(name).front().args.empty() ||
              index == resolution.profile->calls.at(name).front().args[0].index) {
            RC_ASSERT(resolution.profile->VerdictOf(name, args).action == SeccompAction::kAllow);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace nucleus::policy
