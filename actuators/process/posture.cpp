#include "actuators/process/posture.hpp"

#include <algorithm>
#include <charconv>

#include "actuators/sys/id_ranges.hpp"
#include "state/parts/id_map.hpp"

namespace nucleus::process {

namespace {

// "Uid:\t0\t0\t0\t0\n" -> "\t0\t0\t0\t0"
std::optional<std::string_view> Field(std::string_view status, std::string_view name) {
  while (!status.empty()) {
    const auto line = status.substr(0, status.find('\n'));
    status.remove_prefix(std::min(line.size() + 1, status.size()));
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return line.substr(name.size() + 1);
  }
  return std::nullopt;
}

std::string_view SkipBlanks(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \t"), text.size()));
  return text;
}

// All numbers of a line; none: something else is in it.
template <class Number>
std::optional<std::vector<Number>> NumbersOf(std::string_view line, int base = 10) {
  std::vector<Number> numbers;
  for (auto rest = SkipBlanks(line); !rest.empty(); rest = SkipBlanks(rest)) {
    Number number{};
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
    if (error != std::errc()) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    numbers.push_back(number);
  }
  return numbers;
}

template <class Number>
std::optional<std::vector<Number>> Numbers(std::string_view status, std::string_view name, int base = 10) {
  const auto field = Field(status, name);
  if (!field) return std::nullopt;
  return NumbersOf<Number>(*field, base);
}

template <class Number>
bool TakeOne(std::string_view status, std::string_view name, Number& number, int base = 10) {
  const auto numbers = Numbers<Number>(status, name, base);
  if (!numbers || numbers->size() != 1) return false;
  number = numbers->front();
  return true;
}

bool TakeIds(std::string_view status, std::string_view name, std::array<std::uint32_t, 4>& ids) {
  const auto numbers = Numbers<std::uint32_t>(status, name);
  if (!numbers || numbers->size() != ids.size()) return false;
  std::ranges::copy(*numbers, ids.begin());
  return true;
}

struct Set {
  std::string_view field, name;
  std::uint64_t CapabilitySets::* mask;
};
constexpr Set kSets[] = {{"CapBnd", "bounding capabilities", &CapabilitySets::bounding},
                         {"CapPrm", "permitted capabilities", &CapabilitySets::permitted},
                         {"CapEff", "effective capabilities", &CapabilitySets::effective},
                         {"CapInh", "inheritable capabilities", &CapabilitySets::inheritable},
                         {"CapAmb", "ambient capabilities", &CapabilitySets::ambient}};

std::string Numbered(const std::vector<std::uint32_t>& ids) {
  std::string text;
  for (const std::uint32_t id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
  return text.empty() ? "none" : text;
}

// One number where all four are the same.
std::string Numbered(const std::array<std::uint32_t, 4>& ids) {
  const bool same = std::ranges::all_of(ids, [&](std::uint32_t id) { return id == ids.front(); });
  return same ? std::to_string(ids.front()) : Numbered(std::vector(ids.begin(), ids.end()));
}

Check Compared(std::string name, std::string asked, std::string found, bool good) {
  return {std::move(name), std::move(asked), std::move(found), good ? Verdict::kOk : Verdict::kDiffers};
}

// What an id is here that the launch has for whoever started it.
std::uint32_t Here(const std::optional<std::vector<IdRange>>& map, std::uint32_t id) {
  return map ? OutsideId(*map, id).value_or(kOverflowId) : id;
}

void CompareIdentity(const Posture& posture, const Comparison& with, std::vector<Check>& checks) {
  const Launch& launch = with.launch;
  const UserNamespace& user = launch.user_namespace;
  const auto gid = [&](std::uint32_t id) { return Here(with.gids_here, OutsideGid(user, id)); };
  // With capabilities it may have taken another identity by now, as programs do that drop root by themselves.
  const bool own_will = launch.security.capabilities.permitted != 0;
  const auto add = [&](std::string name, std::string asked, std::string found) {
    const bool good = own_will || asked == found;
    if (own_will) asked += ", at first";
    checks.push_back(Compared(std::move(name), std::move(asked), std::move(found), good));
  };
  const std::uint32_t uid = Here(with.uids_here, OutsideUid(user, launch.identity.uid));
  add("user", std::to_string(uid), Numbered(posture.uids));
  add("group", std::to_string(gid(launch.identity.gid)), Numbered(posture.gids));
  auto groups = launch.identity.groups;
  for (std::uint32_t& group : groups) group = gid(group);
  auto its = posture.groups;
  std::ranges::sort(groups);
  std::ranges::sort(its);
  // Where they cannot be given up, the caller was told, or the start refused (prepare.cpp).
  if (with.setgroups_denied && !launch.production && groups.empty()) {
    checks.push_back(Compared("supplementary groups", "the caller's", Numbered(its), true));
  } else {
    add("supplementary groups", Numbered(groups), Numbered(its));
  }
}

constexpr std::string_view kSeccomp = "seccomp";

Check CompareSeccomp(const Posture& posture, const Comparison& with) {
  const auto& security = with.launch.security;
  const bool asked = with.mini_init || !security.seccomp.empty() || security.seccomp_trace;
  static constexpr std::array<std::string_view, 4> kModes{"none", "strict", "filter", "filter that has killed it"};
  const bool known = posture.seccomp >= 0 && static_cast<std::size_t>(posture.seccomp) < kModes.size();
  std::string found(known ? kModes[static_cast<std::size_t>(posture.seccomp)] : "unknown");
  const bool filters = posture.seccomp == 2 || posture.seccomp == 3;
  if (filters && posture.seccomp_filters) found += " (" + std::to_string(*posture.seccomp_filters) + ")";
  // More of them may be there: the caller's own, or what the workload has added.
  const bool good = !asked || (filters && posture.seccomp_filters != 0U);
  std::string words = asked ? "filter" : "none";
  if (asked && !with.mini_init && security.seccomp_trace) words = "filter that only counts";
  return Compared(std::string(kSeccomp), std::move(words), std::move(found), good);
}

}  // namespace

std::optional<Posture> ParsePosture(std::string_view status) {
  Posture posture;
  const auto state = Field(status, "State");
  if (!state || SkipBlanks(*state).empty()) return std::nullopt;
  posture.state = SkipBlanks(*state).front();
  int no_new_privs = 0;
  auto groups = Numbers<std::uint32_t>(status, "Groups");
  if (!groups || !TakeOne(status, "PPid", posture.parent) || !TakeIds(status, "Uid", posture.uids) ||
      !TakeIds(status, "Gid", posture.gids) || !TakeOne(status, "NoNewPrivs", no_new_privs) ||
      !TakeOne(status, "Seccomp", posture.seccomp))
    return std::nullopt;
  if (std::uint32_t filters = 0; TakeOne(status, "Seccomp_filters", filters)) posture.seccomp_filters = filters;
  posture.groups = std::move(*groups);
  posture.no_new_privs = no_new_privs != 0;
  for (const Set& set : kSets)
    if (!TakeOne(status, set.field, posture.capabilities.*set.mask, 16)) return std::nullopt;
  return posture;
}

std::optional<std::vector<IdRange>> ParseIdMap(std::string_view text) {
  std::vector<IdRange> ranges;
  for (const auto& [inside, outside, count] : sys::ParseIdMap(text)) ranges.push_back({inside, outside, count});
  const auto lines = std::ranges::count(text, '\n') + (text.empty() || text.ends_with('\n') ? 0 : 1);
  return std::cmp_equal(ranges.size(), lines) ? std::optional(std::move(ranges)) : std::nullopt;
}

std::string HexMask(std::uint64_t mask) {
  if (mask == 0) return "none";
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), mask, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

std::vector<Check> CompareStatus(const Posture& posture, const Comparison& with) {
  std::vector<Check> checks;
  CompareIdentity(posture, with, checks);
  for (const Set& set : kSets) {
    const std::uint64_t asked = with.launch.security.capabilities.*set.mask;
    const std::uint64_t found = posture.capabilities.*set.mask;
    // Only what is beyond: it may give up more, and the kernel may know fewer than the mask has bits.
    checks.push_back(Compared(std::string(set.name), with.capability_names(asked), with.capability_names(found),
                              (found & ~asked) == 0));
  }
  checks.push_back(Compared("no_new_privs", "yes", posture.no_new_privs ? "yes" : "no", posture.no_new_privs));
  checks.push_back(CompareSeccomp(posture, with));
  return checks;
}

std::vector<std::string> Mismatches(const Posture& posture, const Comparison& with, Moment moment) {
  std::vector<std::string> wrong;
  for (const Check& check : CompareStatus(posture, with)) {
    if ((check.name == kSeccomp) != (moment == Moment::kAfterExec)) continue;
    if (check.verdict == Verdict::kDiffers)
      wrong.push_back("its " + check.name + ": " + check.found + ", not " + check.asked);
  }
  return wrong;
}

}  // namespace nucleus::process
