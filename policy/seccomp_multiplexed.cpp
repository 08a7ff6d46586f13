#include "policy/seccomp_multiplexed.hpp"

#include <algorithm>

namespace nucleus::policy {

namespace {

constexpr SubCall kSocketCalls[] = {
    {"socket", 1},      {"bind", 2},        {"connect", 3},    {"listen", 4},      {"accept", 5},
    {"getsockname", 6}, {"getpeername", 7}, {"socketpair", 8}, {"send", 9},        {"recv", 10},
    {"sendto", 11},     {"recvfrom", 12},   {"shutdown", 13},  {"setsockopt", 14}, {"getsockopt", 15},
    {"sendmsg", 16},    {"recvmsg", 17},    {"accept4", 18},   {"recvmmsg", 19},   {"sendmmsg", 20},
};
constexpr SubCall kIpcCalls[] = {
    {"semop", 1},   {"semget", 2},  {"semctl", 3}, {"semtimedop", 4}, {"msgsnd", 11}, {"msgrcv", 12},
    {"msgget", 13}, {"msgctl", 14}, {"shmat", 21}, {"shmdt", 22},     {"shmget", 23}, {"shmctl", 24},
};

bool IsSubCall(std::string_view name) {
  return std::ranges::find(kSocketCalls, name, &SubCall::name) != std::end(kSocketCalls) ||
         std::ranges::find(kIpcCalls, name, &SubCall::name) != std::end(kIpcCalls);
}

// What holds whatever the arguments are, and never lets more happen.
SeccompVerdict Strictest(const std::vector<SeccompClause>& clauses, const SeccompVerdict& otherwise) {
  if (clauses.size() == 1 && clauses[0].args.empty()) return clauses[0].verdict;
  SeccompVerdict strictest = otherwise;
  for (const auto& clause : clauses) {
    if (clause.verdict.StricterThan(strictest)) strictest = clause.verdict;
  }
  return strictest;
}

// The rules of the call that has the others behind it.
std::vector<SeccompClause> Door(std::string_view name, const ResolvedSeccomp& profile) {
  const auto subs = SubCallsOf(name);
  const auto own = profile.calls.find(name);
  const bool named = own != profile.calls.end();
  const SeccompVerdict door = named ? Strictest(own->second, profile.default_verdict) : profile.default_verdict;
  SeccompVerdict strictest = door;
  bool differs = false;
  for (const SubCall& sub : subs) {
    const auto found = profile.calls.find(sub.name);
    if (found == profile.calls.end()) continue;
    const SeccompVerdict verdict = Strictest(found->second, profile.default_verdict);
    differs = differs || verdict != door;
    if (verdict.StricterThan(strictest)) strictest = verdict;
  }
  // libseccomp makes the rules of the sub-calls that are named itself. What those do not fit (a number that is none, or
  // ipc's version in the high half of its first argument) falls to the default, which must not be the wider one.
  const SeccompVerdict& most = name == "ipc" ? strictest : door;
  if (most.StricterThan(profile.default_verdict)) return {{{}, strictest}};
  if (!named || door == profile.default_verdict) return {};
  if (!differs) return {{{}, door}};
  std::vector<SeccompClause> clauses;
  for (const SubCall& sub : subs) {
    if (profile.calls.contains(sub.name)) continue;
    clauses.push_back({{{0, SeccompOp::kEqual, sub.number, 0}}, door});
  }
  return clauses;
}

}  // namespace

std::span<const SubCall> SubCallsOf(std::string_view name) {
  if (name == "socketcall") return kSocketCalls;
  if (name == "ipc") return kIpcCalls;
  return {};
}

std::vector<NarrowedCall> NarrowedForI386(const ResolvedSeccomp& profile) {
  std::vector<NarrowedCall> calls;
  for (const auto& [name, clauses] : profile.calls) {
    if (!SubCallsOf(name).empty()) continue;
    if (IsSubCall(name)) {
      calls.push_back({name, {{{}, Strictest(clauses, profile.default_verdict)}}});
    } else {
      calls.push_back({name, clauses});
    }
  }
  for (const std::string_view door : {"socketcall", "ipc"}) {
    calls.push_back({std::string(door), Door(door, profile)});
  }
  return calls;
}

}  // namespace nucleus::policy
