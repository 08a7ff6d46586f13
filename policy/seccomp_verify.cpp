#include "policy/seccomp_verify.hpp"

#include <linux/seccomp.h>

#include <algorithm>
#include <array>
#include <set>

#include "policy/seccomp_words.hpp"
#include "state/parts/seccomp_run.hpp"

namespace nucleus::policy {

namespace {

constexpr std::size_t kMostPoints = 20'000;

using Values = std::vector<std::uint64_t>;

// Values of an argument of which each pair that a test can tell apart has one on either side: around every limit, in
// the high and in the low half, since programs compare the halves one by one.
Values Around(std::span<const SeccompClause> clauses, std::uint32_t index, bool narrow) {
  std::set<std::uint32_t> high{0}, low{0, UINT32_MAX};
  if (!narrow) high.insert({1, UINT32_MAX});
  bool used = false;
  const auto near = [&](std::uint64_t value) {
    const auto top = static_cast<std::uint32_t>(value >> 32), bottom = static_cast<std::uint32_t>(value);
    low.insert({bottom - 1, bottom, bottom + 1});
    if (!narrow && top != 0) high.insert({top - 1, top, top + 1});
  };
  for (const SeccompClause& clause : clauses) {
    for (const SeccompArg& arg : clause.args) {
      if (arg.index != index) continue;
      used = true;
      if (arg.op == SeccompOp::kMaskedEqual) {
        const std::uint64_t lowest = arg.value & -arg.value;
        for (const std::uint64_t value : {arg.value_two, arg.value_two | ~arg.value, arg.value_two ^ lowest})
          near(value);
        for (int bit = 0; bit < 64; ++bit) {
          if ((arg.value >> bit & 1) != 0 && low.size() < 48) near(arg.value_two ^ std::uint64_t{1} << bit);
        }
      } else {
        near(arg.value);
      }
    }
  }
  if (!used) return {0};
  Values values;
  for (const std::uint32_t top : high) {
    for (const std::uint32_t bottom : low) values.push_back(std::uint64_t{top} << 32 | bottom);
  }
  return values;
}

SeccompVerdict Wanted(const ExpectedCall& call, const SeccompVerdict& otherwise,
                      const std::array<std::uint64_t, 6>& args) {
  for (const SeccompClause& clause : call.clauses) {
    const bool holds = std::ranges::all_of(clause.args, [&](const SeccompArg& arg) {
      SeccompArg compared = arg;
      if (call.narrow) {
        compared.value &= UINT32_MAX;
        compared.value_two &= UINT32_MAX;
      }
      return compared.Holds(args[arg.index]);
    });
    if (holds) return clause.verdict;
  }
  return otherwise;
}

std::optional<std::string> Difference(std::span<const BpfInstruction> program, const SeccompVerdict& otherwise,
                                      const ExpectedCall& call) {
  std::array<Values, 6> values;
  std::size_t points = 1;
  for (std::uint32_t i = 0; i < 6; ++i) {
    values[i] = Around(call.clauses, i, call.narrow);
    points = points > kMostPoints ? points : points * values[i].size();
  }
  // Where there are too many, some of all: a step that has no divisor in common with the sizes goes through them
  // evenly.
  std::array<std::size_t, 6> at{};
  const std::size_t rounds = std::min(points, kMostPoints);
  std::uint64_t state = 1;
  for (std::size_t round = 0; round < rounds; ++round) {
    std::array<std::uint64_t, 6> args{};
    std::size_t rest = round;
    for (std::size_t i = 0; i < 6; ++i) {
      if (points <= kMostPoints) {
        at[i] = rest % values[i].size();
        rest /= values[i].size();
      } else {
        state = state * 6364136223846793005U + 1442695040888963407U;
        at[i] = (state >> 33) % values[i].size();
      }
      args[i] = values[i][at[i]];
    }
    seccomp_data data{
        .nr = static_cast<int>(call.number), .arch = call.architecture, .instruction_pointer = 0, .args = {}};
    std::ranges::copy(args, data.args);
    const auto got = RunSeccomp(program, data);
    const SeccompVerdict wanted = Wanted(call, otherwise, args);
    if (got == SeccompReturn(wanted)) continue;
    std::string text = call.name + "(";
    for (std::size_t i = 0; i < 6; ++i) text += (i == 0 ? "" : ", ") + std::to_string(args[i]);
    return text + ") comes to something else than '" + VerdictText(wanted) + "'";
  }
  return std::nullopt;
}

}  // namespace

std::uint32_t SeccompReturn(const SeccompVerdict& verdict) {
  switch (verdict.action) {
    case SeccompAction::kKillProcess:
      return SECCOMP_RET_KILL_PROCESS;
    case SeccompAction::kKillThread:
      return SECCOMP_RET_KILL_THREAD;
    case SeccompAction::kTrap:
      return SECCOMP_RET_TRAP;
    case SeccompAction::kErrno:
      return SECCOMP_RET_ERRNO | verdict.error;
    case SeccompAction::kLog:
      return SECCOMP_RET_LOG;
    case SeccompAction::kAllow:
      return SECCOMP_RET_ALLOW;
  }
  return SECCOMP_RET_KILL_PROCESS;
}

std::optional<std::string> FirstDifference(std::span<const BpfInstruction> program, const SeccompVerdict& otherwise,
                                           std::span<const ExpectedCall> calls) {
  for (const ExpectedCall& call : calls) {
    if (auto difference = Difference(program, otherwise, call)) return difference;
  }
  return std::nullopt;
}

}  // namespace nucleus::policy
