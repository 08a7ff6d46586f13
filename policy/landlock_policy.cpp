#include "policy/landlock_policy.hpp"

#include <algorithm>
#include <array>
#include <map>

#include "actuators/security/landlock_abi.hpp"
#include "policy/read_document.hpp"

namespace nucleus::policy {

namespace {

using namespace security;
using spec::Value;

constexpr std::uint32_t kNewestAbi = 7;

constexpr std::uint64_t kRead = kReadFile | kReadDir;
constexpr std::uint64_t kWrite = kWriteFile | kTruncate;
constexpr std::uint64_t kCreate = kMakeReg | kMakeDir | kMakeSym | kMakeSock | kMakeFifo;
constexpr std::uint64_t kRemove = kRemoveFile | kRemoveDir;
constexpr LandlockWord kAccess[] = {
    {"read", kRead},       {"readdir", kReadDir},
    {"write", kWrite},     {"truncate", kTruncate},
    {"execute", kExecute}, {"create", kCreate},
    {"remove", kRemove},   {"refer", kRefer},
    {"ioctl", kIoctlDev},  {"all", kAllFs & ~(kMakeChar | kMakeBlock)},
};
static_assert((kRead & kExecute) == 0);

constexpr LandlockWord kScopes[] = {{"abstract_sockets", kScopeAbstractSocket}, {"signals", kScopeSignal}};

constexpr std::array<std::string_view, 5> kKeys{"min_abi", "rules", "tcp_bind", "tcp_connect", "scope"};
constexpr std::array<std::string_view, 2> kRuleKeys{"path", "access"};

class LandlockReader {
 public:
  explicit LandlockReader(spec::Reader& reader) : reader_(reader) {}

  LandlockPolicy Read(const Value& document) {
    LandlockPolicy policy;
    policy.handled_fs = kAllFs;
    Known(document, kKeys);
    if (const Value* value = document.Find("min_abi")) {
      policy.min_abi = static_cast<std::uint32_t>(Number("min_abi", *value, 1, kNewestAbi).value_or(1));
    }
    if (const Value* value = document.Find("tcp_bind")) policy.tcp_bind = Ports("tcp_bind", *value, 0);
    if (const Value* value = document.Find("tcp_connect")) policy.tcp_connect = Ports("tcp_connect", *value, 1);
    if (const Value* value = document.Find("scope")) policy.scoped = Words("scope", *value, kScopes);
    Rules(document, policy);
    return policy;
  }

 private:
  template <class Names>
  void Known(const Value& table, const Names& known) {
    for (const auto& member : table.members) {
      if (std::ranges::find(known, std::string_view(member.name)) != known.end()) continue;
      reader_.Report(member.place,
                     "unknown key '" + spec::Shown(member.name) + "'" + reader_.Suggestion(member.name, known));
    }
  }

  std::optional<std::int64_t> Number(std::string_view key, const Value& value, std::int64_t least, std::int64_t most) {
    if (value.type != Value::Type::kInteger) {
      reader_.WrongType(key, value, "a whole number");
    } else if (value.integer < least || value.integer > most) {
      reader_.Wrong(key, value, "not from " + std::to_string(least) + " to " + std::to_string(most));
    } else {
      return value.integer;
    }
    return std::nullopt;
  }

  std::vector<std::uint16_t> Ports(std::string_view key, const Value& list, std::int64_t least) {
    std::vector<std::uint16_t> ports;
    if (list.type != Value::Type::kArray) {
      reader_.WrongType(key, list, "a list of ports");
      return ports;
    }
    for (const auto& item : list.items) {
      if (const auto port = Number(key, item, least, 65535)) ports.push_back(static_cast<std::uint16_t>(*port));
    }
    std::ranges::sort(ports);
    const auto rest = std::ranges::unique(ports);
    ports.erase(rest.begin(), rest.end());
    return ports;
  }

  std::uint64_t Words(std::string_view key, const Value& list, std::span<const LandlockWord> words) {
    std::uint64_t bits = 0;
    if (list.type != Value::Type::kArray) {
      reader_.WrongType(key, list, "a list of words");
      return bits;
    }
    for (const auto& item : list.items) {
      if (item.type != Value::Type::kString) {
        reader_.WrongType(key, item, "a word");
        continue;
      }
      const auto word = std::ranges::find(words, std::string_view(item.text), &LandlockWord::text);
      if (word != words.end()) {
        bits |= word->bits;
        continue;
      }
      std::vector<std::string_view> known;
      for (const auto& one : words) known.push_back(one.text);
      if (item.refused) continue;
      reader_.Report(item.place, std::string(key) + ": unknown word '" + spec::Shown(item.text) + "'" +
                                     reader_.Suggestion(item.text, known));
    }
    return bits;
  }

  void Rules(const Value& document, LandlockPolicy& policy) {
    const Value* rules = document.Find("rules");
    if (rules == nullptr) {
      reader_.Report({0, 1, 1}, "no [[rules]]: without any, no file could be opened, nor the workload be executed");
      return;
    }
    if (rules->type != Value::Type::kArray) {
      reader_.WrongType("rules", *rules, "tables, each headed [[rules]]");
      return;
    }
    if (rules->items.empty())
      reader_.Report(rules->place, "rules: there is none, so the workload could not be executed");
    std::map<std::string, spec::Place> seen;
    for (const auto& item : rules->items) {
      if (item.type != Value::Type::kTable) {
        reader_.WrongType("rules", item, "a table with path and access");
        continue;
      }
      const auto rule = Rule(item);
      if (!rule) continue;
      const auto [earlier, is_new] = seen.try_emplace(rule->path, rule->place);
      if (!is_new) {
        reader_.Report(rule->place, "path: '" + spec::Shown(rule->path) + "' has a rule already, at " +
                                        reader_.PlaceText(earlier->second));
        continue;
      }
      policy.rules.push_back(*rule);
    }
  }

  std::optional<LandlockPathRule> Rule(const Value& table) {
    Known(table, kRuleKeys);
    LandlockPathRule rule;
    bool sound = true;
    const Value* path = table.Find("path");
    const Value* access = table.Find("access");
    if (path == nullptr) reader_.Report(table.place, "rules: path is missing");
    if (access == nullptr) reader_.Report(table.place, "rules: access is missing");
    if (path == nullptr || access == nullptr) return std::nullopt;
    rule.place = path->place;
    sound = Path(*path, rule);
    rule.access = Words("access", *access, kAccess);
    if (access->type == Value::Type::kArray && access->items.empty()) {
      reader_.Report(access->place, "access: there is no word; leave the rule out to allow nothing");
    }
    return sound && rule.access != 0 ? std::optional(rule) : std::nullopt;
  }

  bool Path(const Value& value, LandlockPathRule& rule) {
    if (value.type != Value::Type::kString) {
      reader_.WrongType("path", value, "a path");
      return false;
    }
    if (value.refused) return false;
    constexpr std::size_t kLongest = 4095;  // PATH_MAX with its NUL
    std::string_view text = value.text;
    if (!text.starts_with('/')) {
      reader_.Wrong("path", value, "not absolute; it is a path inside the container");
      return false;
    }
    if (text.size() > kLongest) {
      reader_.Report(value.place, "path: longer than 4095 bytes");
      return false;
    }
    while (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
    for (std::string_view rest = text.substr(1); !rest.empty();) {
      const std::string_view part = rest.substr(0, rest.find('/'));
      rest.remove_prefix(std::min(rest.size(), part.size() + 1));
      if (part.empty() || part == "." || part == "..") {
        reader_.Wrong("path", value, "write it without '//', '.' and '..'");
        return false;
      }
    }
    rule.path = text;
    return true;
  }

  spec::Reader& reader_;
};

// A right, and what a kernel without it does: refuse it always (refer), or not look at it.
struct Right {
  std::uint64_t bit;
  std::uint32_t abi;
  std::string_view unrestricted;
};
constexpr Right kLaterRights[] = {
    {kTruncate, 3, "truncating files is not restricted"},
    {kIoctlDev, 5, "requests to devices (ioctl) are not restricted"},
};

}  // namespace

std::span<const LandlockWord> LandlockAccessWords() {
  return kAccess;
}

Landlock LandlockPolicy::ToLandlock(bool required) const {
  Landlock out;
  out.enabled = true;
  out.required = required;
  out.min_abi = min_abi;
  out.handled_fs = handled_fs;
  out.scoped = scoped;
  for (const auto& rule : rules) out.rules.push_back({rule.path, rule.access, true});
  const auto add = [&out](const std::optional<std::vector<std::uint16_t>>& ports, std::uint64_t access) {
    if (!ports) return;
    out.handled_net |= access;
    for (const auto port : *ports) out.ports.push_back({port, access});
  };
  add(tcp_bind, kBindTcp);
  add(tcp_connect, kConnectTcp);
  return out;
}

LandlockPolicyRead ReadLandlockPolicy(std::string_view text, std::string_view file) {
  spec::Reader reader(NoOutside());
  LandlockPolicyRead out;
  if (const auto document = ReadTomlPolicy(text, file, reader)) {
    LandlockPolicy policy = LandlockReader(reader).Read(*document);
    if (!reader.failed()) out.policy = std::move(policy);
  }
  out.problems = reader.TakeProblems();
  return out;
}

std::vector<LandlockLoss> LandlockLosses(const LandlockPolicy& policy, std::uint32_t abi) {
  std::vector<LandlockLoss> losses;
  const auto lost = [&losses](std::string_view what, std::uint32_t needed, bool weaker) {
    losses.push_back({std::string(what) + " (ABI " + std::to_string(needed) + ")", weaker});
  };
  if (abi == 0) {
    lost("nothing is restricted: this kernel has no Landlock, or it is switched off", 1, true);
    return losses;
  }
  if (abi < policy.min_abi) {
    losses.push_back(
        {"the policy wants ABI " + std::to_string(policy.min_abi) + ", and this kernel has ABI " + std::to_string(abi),
         true});
  }
  const bool refers = std::ranges::any_of(policy.rules, [](const auto& rule) { return (rule.access & kRefer) != 0; });
  if (abi < 2 && refers) lost("moving and linking between directories is refused everywhere", 2, false);
  for (const Right& right : kLaterRights) {
    // Where it is allowed beneath the root nothing was restricted.
    const bool everywhere = std::ranges::any_of(
        policy.rules, [&right](const auto& rule) { return rule.path == "/" && (rule.access & right.bit) != 0; });
    if (abi < right.abi && (policy.handled_fs & right.bit) != 0 && !everywhere)
      lost(right.unrestricted, right.abi, true);
  }
  if (abi < 4 && policy.tcp_bind) lost("the TCP ports to listen on are not restricted", 4, true);
  if (abi < 4 && policy.tcp_connect) lost("the TCP ports to connect to are not restricted", 4, true);
  if (abi < 6 && (policy.scoped & kScopeAbstractSocket) != 0) {
    lost("abstract sockets outside of the container are not shut off", 6, true);
  }
  if (abi < 6 && (policy.scoped & kScopeSignal) != 0) lost("signals to processes outside are not shut off", 6, true);
  return losses;
}

}  // namespace nucleus::policy
