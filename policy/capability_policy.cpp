#include "policy/capability_policy.hpp"

#include <linux/capability.h>

#include <algorithm>
#include <array>
#include <map>

#include "actuators/security/security_names.hpp"
#include "policy/read_document.hpp"

namespace nucleus::policy {

namespace {

// What NET_ADMIN and its like do within the container's own network namespace is nucleus's to set up; and much of what
// they open in the kernel is not as well guarded as what everybody may call.
constexpr DangerousCapability kDangerous[] = {
    {CAP_DAC_READ_SEARCH, "reads any file of a file system by open_by_handle_at(2), outside of the container too"},
    {CAP_LINUX_IMMUTABLE, "makes files of shared volumes that not even the machine's root can change as usual"},
    {CAP_NET_ADMIN, "changes the addresses, routes and firewall that the container is confined by"},
    {CAP_SYS_MODULE, "loads code into the kernel"},
    {CAP_SYS_RAWIO, "reaches ports, memory and disks directly"},
    {CAP_SYS_PTRACE, "reads and changes other processes, those of its user on the machine where pids are shared"},
    {CAP_SYS_PACCT, "switches the accounting of the whole machine"},
    {CAP_SYS_ADMIN, "mounts, enters namespaces, and is nearly root on the machine"},
    {CAP_SYS_BOOT, "restarts the machine, and loads a kernel by kexec"},
    {CAP_SYS_NICE,
     "takes processors from the whole machine by real-time scheduling, and chooses them and memory nodes"},
    {CAP_SYS_RESOURCE, "passes over limits of processes, and over quotas and reserved blocks of the machine's disks"},
    {CAP_SYS_TIME, "sets the clock of the machine"},
    {CAP_SYS_TTY_CONFIG, "hangs up terminals of the machine"},
    {CAP_MKNOD, "makes device nodes, through which disks and memory are reached"},
    {CAP_LEASE, "holds up whoever opens a file of the machine or of a volume that it sees, by leases of any file"},
    {CAP_AUDIT_WRITE, "writes what it likes into the machine's audit, in anybody's name"},
    {CAP_AUDIT_CONTROL, "switches off the machine's audit"},
    {CAP_AUDIT_READ, "reads what the machine's audit says of others"},
    {CAP_MAC_OVERRIDE, "passes over the machine's mandatory access control"},
    {CAP_MAC_ADMIN, "changes the machine's mandatory access control"},
    {CAP_SYSLOG, "reads addresses and messages of the kernel, and clears them"},
    {CAP_WAKE_ALARM, "wakes the machine up"},
    {CAP_BLOCK_SUSPEND, "keeps the machine from sleeping"},
    {CAP_PERFMON, "observes the kernel and other processes"},
    {CAP_BPF, "loads programs into the kernel"},
    {CAP_CHECKPOINT_RESTORE, "chooses process numbers, and opens other processes' files by map_files"},
};

constexpr std::uint64_t kKnown = (std::uint64_t{2} << CAP_CHECKPOINT_RESTORE) - 1;

struct Set {
  std::string_view name;
  std::uint64_t CapabilitySets::* mask;
};
constexpr Set kSets[] = {{"bounding", &CapabilitySets::bounding},
                         {"permitted", &CapabilitySets::permitted},
                         {"effective", &CapabilitySets::effective},
                         {"inheritable", &CapabilitySets::inheritable},
                         {"ambient", &CapabilitySets::ambient}};
constexpr std::array<std::string_view, 5> kSetNames{"bounding", "permitted", "effective", "inheritable", "ambient"};

struct Given {
  std::uint64_t mask = 0;
  spec::Place place;
};
using GivenSets = std::map<std::string_view, Given>;

std::string Names(std::uint64_t mask) {
  std::string text;
  for (const auto& name : security::CapabilityNames(mask)) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

class CapabilityReader {
 public:
  explicit CapabilityReader(spec::Reader& reader) : reader_(reader) {
    for (const auto& name : security::CapabilityNames(kKnown)) {
      short_names_.push_back(Lower(name));
      long_names_.push_back("cap_" + short_names_.back());
    }
  }

  GivenSets Read(const spec::Value& document) {
    GivenSets given;
    for (const auto& member : document.members) {
      const auto set = std::ranges::find(kSets, std::string_view(member.name), &Set::name);
      if (set == std::end(kSets)) {
        reader_.Report(member.place,
                       "unknown table '" + spec::Shown(member.name) + "'" + reader_.Suggestion(member.name, kSetNames));
        continue;
      }
      if (member.value.type != spec::Value::Type::kTable) {
        reader_.WrongType(member.name, member.value, "a table with 'keep'");
        continue;
      }
      Given& one = given[set->name];
      one.place = member.place;
      Table(member, one);
    }
    return given;
  }

 private:
  void Table(const spec::Member& table, Given& given) {
    constexpr std::array<std::string_view, 1> kKeys{"keep"};
    const spec::Value* keep = nullptr;
    for (const auto& member : table.value.members) {
      if (member.name == "keep") {
        keep = &member.value;
      } else {
        reader_.Report(member.place,
                       "unknown key '" + spec::Shown(member.name) + "'" + reader_.Suggestion(member.name, kKeys));
      }
    }
    if (keep == nullptr) {
      reader_.Report(table.place, table.name + ": keep is missing; keep = [] drops all");
      return;
    }
    given.place = keep->place;
    if (keep->type != spec::Value::Type::kArray) {
      reader_.WrongType(table.name + ".keep", *keep, "a list of capabilities");
      return;
    }
    for (const auto& item : keep->items) given.mask |= Capability(table.name, item);
  }

  std::uint64_t Capability(const std::string& table, const spec::Value& item) {
    if (item.type != spec::Value::Type::kString) {
      reader_.WrongType(table + ".keep", item, "the name of a capability");
      return 0;
    }
    if (const auto number = security::CapabilityNumber(item.text)) return std::uint64_t{1} << *number;
    if (item.refused) return 0;
    const std::string misspelt = Lower(item.text);
    const auto& known = misspelt.starts_with("cap_") ? long_names_ : short_names_;
    reader_.Report(item.place,
                   table + ": unknown capability '" + spec::Shown(item.text) + "'" + Upper(misspelt, known));
    return 0;
  }

  // The suggestion is found in lower case and made in upper case.
  std::string Upper(const std::string& misspelt, const std::vector<std::string>& known) {
    std::string text = reader_.Suggestion(misspelt, known);
    if (const auto quote = text.find('\''); quote != std::string::npos) {
      std::ranges::transform(text.begin() + static_cast<std::ptrdiff_t>(quote), text.end(),
                             text.begin() + static_cast<std::ptrdiff_t>(quote),
                             [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    }
    return text;
  }

  spec::Reader& reader_;
  std::vector<std::string> short_names_, long_names_;  // in lower case
};

CapabilitySets Complete(const GivenSets& given) {
  const auto of = [&given](std::string_view name) -> std::optional<std::uint64_t> {
    const auto found = given.find(name);
    if (found == given.end()) return std::nullopt;
    return found->second.mask;
  };
  const auto bounding = of("bounding"), permitted = of("permitted"), effective = of("effective"),
             inheritable = of("inheritable"), ambient = of("ambient");
  CapabilitySets sets;
  sets.ambient = ambient.value_or(0);
  if (permitted) {
    sets.permitted = *permitted;
  } else if (effective || inheritable || ambient) {
    sets.permitted = effective.value_or(0) | inheritable.value_or(0) | sets.ambient;
  } else {
    sets.permitted = bounding.value_or(0);
  }
  sets.effective = effective ? *effective : ambient ? *ambient : sets.permitted;
  sets.inheritable = inheritable.value_or(sets.ambient);
  sets.bounding = bounding.value_or(sets.permitted | sets.inheritable);
  return sets;
}

struct Rule {
  std::string_view inner, outer;
};
constexpr Rule kRules[] = {{"effective", "permitted"},
                           {"ambient", "permitted"},
                           {"ambient", "inheritable"},
                           {"permitted", "bounding"},
                           {"inheritable", "bounding"}};

std::uint64_t MaskOf(const CapabilitySets& sets, std::string_view name) {
  return sets.*std::ranges::find(kSets, name, &Set::name)->mask;
}

// What of `inner` is not in `outer`, in words.
std::optional<std::string> Broken(const Rule& rule, const CapabilitySets& sets) {
  const std::uint64_t missing = MaskOf(sets, rule.inner) & ~MaskOf(sets, rule.outer);
  if (missing == 0) return std::nullopt;
  return std::string(rule.inner) + " keeps " + Names(missing) + ", which " + std::string(rule.outer) + " does not";
}

}  // namespace

std::span<const DangerousCapability> DangerousCapabilities() {
  return kDangerous;
}

std::vector<std::string> CapabilityContradictions(const CapabilitySets& sets) {
  std::vector<std::string> out;
  for (const Rule& rule : kRules) {
    if (auto broken = Broken(rule, sets)) out.push_back(*std::move(broken));
  }
  for (const Set& set : kSets) {
    if ((sets.*set.mask & ~kKnown) != 0) out.push_back(std::string(set.name) + " keeps capabilities without a name");
  }
  return out;
}

CapabilityPolicyRead ReadCapabilityPolicy(std::string_view text, std::string_view file, bool production) {
  spec::Reader reader(NoOutside());
  CapabilityPolicyRead out;
  if (const auto document = ReadTomlPolicy(text, file, reader)) {
    const GivenSets given = CapabilityReader(reader).Read(*document);
    const CapabilitySets sets = Complete(given);
    const auto place_of = [&given](std::string_view first, std::string_view second) {
      const auto found = given.contains(first) ? given.find(first) : given.find(second);
      return found == given.end() ? spec::Place{0, 1, 1} : found->second.place;
    };
    // One mistake in a list is not to be told as three.
    if (!reader.failed()) {
      for (const Rule& rule : kRules) {
        if (const auto broken = Broken(rule, sets)) reader.Report(place_of(rule.inner, rule.outer), *broken);
      }
    }
    for (const auto& [name, one] : given) {
      for (const auto& [number, reason] : kDangerous) {
        if ((one.mask >> number & 1) == 0) continue;
        reader.Report(one.place,
                      std::string(name) + ": " + Names(std::uint64_t{1} << number) +
                          (production ? " is refused in production: it " : " is dangerous: it ") + std::string(reason),
                      !production);
      }
    }
    if (!reader.failed()) out.sets = sets;
    for (const auto& [name, one] : given) out.kept.emplace_back(one.mask, one.place);
  }
  out.problems = reader.TakeProblems();
  return out;
}

std::string CapabilityPolicyToml(const CapabilitySets& sets) {
  std::string text;
  for (const Set& set : kSets) {
    text += (text.empty() ? "[" : "\n[") + std::string(set.name) + "]\nkeep = [";
    std::string list;
    for (const auto& name : security::CapabilityNames(sets.*set.mask & kKnown)) {
      list += (list.empty() ? "\"" : ", \"") + name + "\"";
    }
    text += list + "]\n";
  }
  return text;
}

}  // namespace nucleus::policy
