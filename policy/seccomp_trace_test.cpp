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
  const auto read = ReadTrace(R"({"syscall":39,"name":"getpid","count":1}
{"syscall":20,"name":"getpid","count":1,"abis":["x86"]}
)",
                              "t");
  EXPECT_EQ(Lines(read.problems), "t:2:12: /syscall: getpid is 20 here, and was 39\n");
  EXPECT_FALSE(read.trace);
}

TEST(SeccompTrace, NumberAndNameAreOfOneCall) {
  const auto read = ReadTrace(R"({"syscall":0,"name":"write","count":1}
{"syscall":0,"name":"foo","count":1}
{"syscall":999,"name":"read","count":1}
{"syscall":102,"name":"socketcall","count":1}
)",
                              "t");
  EXPECT_EQ(Lines(read.problems), R"(t:1:12: /syscall: 0 is read on this machine, and not write
t:2:12: /syscall: 0 is read on this machine, and not foo
t:3:12: /syscall: read is 0 on this machine, and not 999
t:4:12: /syscall: 102 is getuid on this machine, and not socketcall
)");
  EXPECT_FALSE(read.trace);
  EXPECT_TRUE(Read(R"({"syscall":102,"name":"socketcall","count":1,"abis":["x86"]})").contains("socketcall"));
}

TEST(SeccompTrace, WhatCannotBeNamedIsLeftOutAndTold) {
  const auto read = ReadTrace(R"({"syscall":0,"name":"read","count":1}
{"syscall":999,"name":"syscall_999","count":1}
{"syscall":999,"name":"syscall_999","count":3}
{"syscall":998,"name":"foo","count":1}
)",
                              "t");
  EXPECT_EQ(
      Lines(read.problems),
      "t:2:23: warning: /name: no call 'syscall_999' is known, nor one of number 999; the profile is made without "
      "it, and the program is killed where it makes it\n"
      "t:4:23: warning: /name: no call 'foo' is known, nor one of number 998; the profile is made without it, and "
      "the program is killed where it makes it\n");
  ASSERT_TRUE(read.trace);
  EXPECT_EQ(read.trace->size(), 1U);
  // Recorded by one that did not know it yet.
  EXPECT_TRUE(Read(R"({"syscall":462,"name":"syscall_462","count":1})").contains("mseal"));
}

TEST(SeccompTrace, WithConditionsOnCloneClone3IsNotThere) {
  const Trace trace = Read(R"({"syscall":56,"name":"clone","count":1,"args":{"0":[17]}}
{"syscall":435,"name":"clone3","count":1,"missing":true})");
  const auto verdict = [&trace](std::string_view name, bool arguments, std::uint64_t flags) {
    const auto made = ResolveSeccomp(GenerateSeccomp(trace, {.architectures = {}, .arguments = arguments}), {});
    return made.profile->VerdictOf(name, {flags});
  };
  EXPECT_EQ(verdict("clone3", true, 0), (SeccompVerdict{SeccompAction::kErrno, ENOSYS}));
  EXPECT_EQ(verdict("clone", true, 17).action, SeccompAction::kAllow);
  EXPECT_EQ(verdict("clone", true, 0x10000000).action, SeccompAction::kKillProcess);
  EXPECT_EQ(verdict("clone3", false, 0).action, SeccompAction::kAllow);
}

TEST(SeccompTrace, WhereClone3WasLetThroughItIsTold) {
  const std::string fork = R"({"syscall":56,"name":"clone","count":1,"args":{"0":[17]}})"
                           "\n";
  const Trace through = Read(fork + R"({"syscall":435,"name":"clone3","count":1})");
  const Trace missing = Read(fork + R"({"syscall":435,"name":"clone3","count":1,"missing":true})");
  EXPECT_TRUE(missing.at("clone3").missing);
  EXPECT_EQ(Read(TraceLine("clone3", missing.at("clone3"))).at("clone3"), missing.at("clone3"));
  const GenerateOptions arguments{.architectures = {}, .arguments = true};
  EXPECT_EQ(GenerateLosses(through, arguments).size(), 1U);
  EXPECT_TRUE(GenerateLosses(missing, arguments).empty());
  EXPECT_TRUE(GenerateLosses(through, {}).empty());
  // One of two is enough.
  const std::vector<Trace> both{missing, through};
  EXPECT_EQ(GenerateLosses(MergeTraces(both).value(), arguments).size(), 1U);
  EXPECT_FALSE(ReadTrace(R"({"syscall":435,"name":"clone3","count":1,"missing":1})", "t").trace);
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
  const Trace other[] = {traces[0], {{"socket", {359, 1, {}, {}}}}};
  EXPECT_EQ(MergeTraces(other).error().Message(), "merge traces socket: its number is 41 in one and 359 in another");
}

rc::Gen<Trace> SomeTrace() {
  return rc::gen::exec([] {
    Trace trace;
    constexpr std::pair<const char*, std::uint64_t> kCalls[] = {
        {"read", 0}, {"write", 1}, {"socket", 41}, {"ioctl", 16}, {"clone", 56}};
    for (const auto& [name, number] : kCalls) {
      if (!*rc::gen::arbitrary<bool>()) continue;
      TracedCall call{number, *rc::gen::arbitrary<std::uint64_t>(), {}};
      if (*rc::gen::arbitrary<bool>()) {
        const auto values = *rc::gen::arbitrary<std::set<std::uint64_t>>();
        call.args[*rc::gen::inRange(0U, 3U)] = {values.begin(), values.end()};
      }
      trace[name] = call;
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
