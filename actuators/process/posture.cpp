#include "actuators/process/posture.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>

#include "actuators/sys/file.hpp"
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

// All numbers of a field; none: something else is in it.
template <class Number>
std::optional<std::vector<Number>> Numbers(std::string_view status, std::string_view name, int base = 10) {
  const auto field = Field(status, name);
  if (!field) return std::nullopt;
  std::vector<Number> numbers;
  for (auto rest = SkipBlanks(*field); !rest.empty(); rest = SkipBlanks(rest)) {
    Number number{};
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
    if (error != std::errc()) return std::nullopt;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    numbers.push_back(number);
  }
  return numbers;
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
  std::string_view name;
  std::uint64_t CapabilitySets::* mask;
};
constexpr Set kSets[] = {{"CapBnd", &CapabilitySets::bounding},
                         {"CapPrm", &CapabilitySets::permitted},
                         {"CapEff", &CapabilitySets::effective},
                         {"CapInh", &CapabilitySets::inheritable},
                         {"CapAmb", &CapabilitySets::ambient}};

constexpr std::string_view kNamespaces[] = {"mnt", "pid", "ipc", "uts", "cgroup", "net"};

std::string Hex(std::uint64_t mask) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), mask, 16).ptr;
  return "0x" + std::string(digits.data(), end);
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Where they cannot be given up, the caller was told, or the start refused (prepare.cpp).
bool KeepsGroups(const Launch& launch) {
  return !launch.production && launch.identity.groups.empty() && sys::SetgroupsDenied();
}

// None: it has ended.
Result<std::optional<Posture>> ReadPosture(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/status";
  const auto text = sys::ReadFileIfThere(path);
  if (!text && text.error().sys_errno == ESRCH) return std::nullopt;
  if (!text) return Fail(text.error());
  if (!*text) return std::nullopt;
  auto posture = ParsePosture(**text);
  if (!posture) return Fail(ErrorCode::kInternal, "parse", path, "not as documented");
  if (posture->state == 'Z' || posture->state == 'X') return std::nullopt;
  return posture;
}

// Those that it was asked to share.
bool MayShare(std::string_view name, const Launch& launch) {
  return (name == "net" && launch.host_network) || (name == "cgroup" && launch.host_cgroups);
}

Result<std::vector<std::string>> SharedNamespaces(pid_t pid, const Launch& launch) {
  std::vector<std::string> shared;
  for (const auto name : kNamespaces) {
    if (MayShare(name, launch)) continue;
    struct stat own{}, its{};
    const std::string path = "/proc/" + std::to_string(pid) + "/ns/" + std::string(name);
    if (::stat(("/proc/self/ns/" + std::string(name)).c_str(), &own) != 0) return FailSys("stat", "own namespaces");
    if (::stat(path.c_str(), &its) != 0) {
      if (errno == ENOENT || errno == ESRCH) return std::vector<std::string>();  // it has ended
      return FailSys("stat", path);
    }
    if (own.st_ino == its.st_ino) shared.push_back("its " + std::string(name) + " namespace is ours");
  }
  return shared;
}

Result<> CheckOne(pid_t pid, const Launch& launch, std::optional<pid_t> parent) {
  const auto posture = TRY(ReadPosture(pid));
  if (!posture || (parent && posture->parent != *parent)) return {};
  auto wrong = Mismatches(*posture, launch);
  for (auto& shared : TRY(SharedNamespaces(pid, launch))) wrong.push_back(std::move(shared));
  if (wrong.empty()) return {};
  return Fail(Error::Of(ErrorCode::kPermission, "confine", launch.address, Joined(wrong)));
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
  posture.groups = std::move(*groups);
  posture.no_new_privs = no_new_privs != 0;
  for (const Set& set : kSets)
    if (!TakeOne(status, set.name, posture.capabilities.*set.mask, 16)) return std::nullopt;
  return posture;
}

std::vector<std::string> Mismatches(const Posture& posture, const Launch& launch) {
  std::vector<std::string> wrong;
  const auto all = [](const std::array<std::uint32_t, 4>& ids, std::uint32_t id) {
    return std::ranges::all_of(ids, [id](std::uint32_t other) { return other == id; });
  };
  // With capabilities it may have taken another identity by now, as programs do that drop root by themselves.
  if (launch.security.capabilities.permitted == 0) {
    auto groups = launch.identity.groups;
    for (auto& group : groups) group = OutsideGid(launch.user_namespace, group);
    auto its = posture.groups;
    std::ranges::sort(groups);
    std::ranges::sort(its);
    if (!all(posture.uids, OutsideUid(launch.user_namespace, launch.identity.uid)))
      wrong.emplace_back("its user is another");
    if (!all(posture.gids, OutsideGid(launch.user_namespace, launch.identity.gid)))
      wrong.emplace_back("its group is another");
    if (groups != its && !KeepsGroups(launch)) wrong.emplace_back("its supplementary groups are others");
  }
  for (const Set& set : kSets) {
    // What is beyond the set that was asked; the kernel may know fewer capabilities than the mask has bits.
    const std::uint64_t beyond = posture.capabilities.*set.mask & ~(launch.security.capabilities.*set.mask);
    if (beyond != 0) wrong.push_back(std::string(set.name) + " has " + Hex(beyond) + " too many");
  }
  if (!posture.no_new_privs) wrong.emplace_back("NoNewPrivs is 0");
  if (!launch.security.seccomp.empty() && posture.seccomp != 2) wrong.emplace_back("no seccomp filter is in force");
  return wrong;
}

Result<> CheckPosture(pid_t pid, const Launch& launch) {
  TRY(CheckOne(pid, launch, std::nullopt));
  if (!launch.init) return {};
  const std::string number = std::to_string(pid);
  const auto children = sys::ReadFileIfThere("/proc/" + number + "/task/" + number + "/children");
  pid_t child = 0;
  // Without CONFIG_PROC_CHILDREN there is no such file; then the init, confined by the same code, stands for both.
  if (!children || !*children) return {};
  if (std::from_chars((*children)->data(), (*children)->data() + (*children)->size(), child).ec != std::errc())
    return {};
  return CheckOne(child, launch, pid);
}

}  // namespace nucleus::process
